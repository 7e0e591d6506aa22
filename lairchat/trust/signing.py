"""What is hashed and signed here, and with Ed25519 (RFC 8032) by whom.

Whatever is hashed or signed has a label in front that says what it is, in the form of RFC 9420
section 5.1.2 (two vectors), so that nothing signed for one purpose passes for another.
MLS signs under labels that begin with "MLS 1.0 ", ours never do.
"""

from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lairchat.mls.codec import opaque
from lairchat.trust.errors import SignatureError
from lairchat.trust.secret import SecretBytes

HASH_BYTES: Final = 32
"""bytes: SHA-256."""
KEY_BYTES: Final = 32
"""bytes: an Ed25519 public key, or the seed of a private one."""
SIGNATURE_BYTES: Final = 64
"""bytes: an Ed25519 signature."""

_SIGN_BIT = 0x80
# The y coordinates of the eight points of small order, with those that are not reduced modulo p.
_SMALL_ORDER: Final = frozenset(
    map(
        bytes.fromhex,
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ),
    )
)


def labelled(label: bytes, content: bytes) -> bytes:
    """Return a label and a content as two vectors, which can be read in one way only."""
    return opaque(label) + opaque(content)


def digest(label: bytes, content: bytes) -> bytes:
    """Return the SHA-256 of a labelled content."""
    return sha256(labelled(label, content)).digest()


class SigningKey:
    """A private Ed25519 key; its repr shows the public one."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: SecretBytes) -> None:
        """Take 32 random bytes as the private key; ValueError if there are not 32."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, label: bytes, content: bytes) -> bytes:
        """Return the signature of a labelled content, 64 bytes."""
        return self._private.sign(labelled(label, content))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.hex()[:8]}..., private redacted)"


def check_key(public: bytes) -> None:
    """Refuse a public key under which signatures prove nothing; raises SignatureError.

    For a point of small order there are signatures that fit any content: its owner could later say
    that somebody else made them.
    """
    if len(public) != KEY_BYTES:
        raise SignatureError(f"an Ed25519 public key is {KEY_BYTES} bytes, not {len(public)}")
    if public[:-1] + bytes([public[-1] & ~_SIGN_BIT]) in _SMALL_ORDER:
        raise SignatureError("this public key is of small order")


def check_signature(public: bytes, label: bytes, content: bytes, signature: bytes) -> None:
    """Raise SignatureError unless the key signed the labelled content."""
    check_key(public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, labelled(label, content))
    except InvalidSignature as error:
        raise SignatureError("an Ed25519 signature does not fit") from error
