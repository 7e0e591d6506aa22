"""The root of an account: two keys that its recovery words derive, of which both have to sign.

Ed25519 is what everything else here relies on today; ML-DSA-65 (FIPS 204) is what will still tell
the owner from a stranger when a quantum computer can forge the former.
HKDF (RFC 5869, SHA-256) derives the keys from the 128 bits under a label each.
No stretching: 128 random bits cannot be guessed; and no salt: the words alone have to be enough.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lairchat.mls.codec import Fixed, Struct
from lairchat.mls.errors import MalformedError
from lairchat.trust.errors import SignatureError
from lairchat.trust.secret import SecretBytes
from lairchat.trust.signing import (
    KEY_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    check_signature,
    labelled,
)
from lairchat.trust.words import ENTROPY_BYTES

MLDSA_KEY_BYTES: Final = 1_952
"""bytes: an ML-DSA-65 public key (FIPS 204 table 2)."""
MLDSA_SIGNATURE_BYTES: Final = 3_309
"""bytes: an ML-DSA-65 signature (FIPS 204 table 2)."""

_SALT = b"lairchat recovery words v1"
_ED25519 = b"lairchat root ed25519 v1"
_MLDSA65 = b"lairchat root ml-dsa-65 v1"
_BACKUP = b"lairchat backup key v1"
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class RootSignature(Struct):
    """What a root signs with: one signature of each algorithm over the same bytes."""

    LAYOUT = (Fixed(SIGNATURE_BYTES), Fixed(MLDSA_SIGNATURE_BYTES))
    ed25519: bytes = field(repr=False)
    mldsa65: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RootKey(Struct):
    """The public half of a root, 1,984 bytes."""

    LAYOUT = (Fixed(KEY_BYTES), Fixed(MLDSA_KEY_BYTES))
    ed25519: bytes
    mldsa65: bytes = field(repr=False)

    def check(self, label: bytes, content: bytes, signature: bytes) -> None:
        """Raise SignatureError unless both algorithms signed the labelled content."""
        try:
            both = RootSignature.decode(signature)
        except MalformedError as error:
            raise SignatureError("this is no root's signature") from error
        check_signature(self.ed25519, label, content, both.ed25519)
        try:
            MLDSA65PublicKey.from_public_bytes(self.mldsa65).verify(
                both.mldsa65, labelled(label, content)
            )
        except InvalidSignature as error:
            raise SignatureError("an ML-DSA-65 signature does not fit") from error


class Root:
    """The private half of a root; it lives while it signs, and is not kept.

    Only the recovery words bring it back.
    """

    __slots__ = ("_ed25519", "_mldsa65", "public")

    def __init__(self, entropy: SecretBytes) -> None:
        """Derive the root from what the recovery words stand for; ValueError if not 16 bytes."""
        self._ed25519 = SigningKey(_derive(entropy, _ED25519))
        self._mldsa65 = MLDSA65PrivateKey.from_seed_bytes(_derive(entropy, _MLDSA65).reveal())
        self.public = RootKey(self._ed25519.public, self._mldsa65.public_key().public_bytes_raw())

    def sign(self, label: bytes, content: bytes) -> bytes:
        """Return the signature of both algorithms over a labelled content, 3,373 bytes."""
        return RootSignature(
            self._ed25519.sign(label, content), self._mldsa65.sign(labelled(label, content))
        ).encode()

    def __repr__(self) -> str:
        return f"Root({self.public.ed25519.hex()[:8]}..., private redacted)"


def backup_key(entropy: SecretBytes) -> SecretBytes:
    """Return the 32-byte key of the encrypted backup; it says nothing about the root."""
    return _derive(entropy, _BACKUP)


def _derive(entropy: SecretBytes, label: bytes) -> SecretBytes:
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"recovery words stand for {ENTROPY_BYTES} bytes, got {len(entropy)}")
    derived = HKDF(hashes.SHA256(), _SEED_BYTES, _SALT, label).derive(entropy.reveal())
    return SecretBytes(derived)
