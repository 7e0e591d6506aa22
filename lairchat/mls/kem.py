"""Key encapsulation for HPKE: the Diffie-Hellman KEMs of RFC 9180 section 4.1, and X-Wing.

X-Wing (draft-connolly-cfrg-xwing-kem-09) joins X25519 and ML-KEM-768 (FIPS 203), so that a session
key stays secret as long as either holds; its HPKE number, 0x647a, and how it derives key pairs are in
draft-ietf-hpke-pq.
Private and public keys and encapsulations are byte strings in the formats of those documents.
"""

import hashlib
from typing import Final, Protocol

from cryptography.exceptions import InternalError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lairchat.mls.errors import InvalidError

VERSION: Final = b"HPKE-v1"


class LabelledKdf:
    """HKDF with the labels of RFC 9180 section 4: ``LabeledExtract`` and ``LabeledExpand``."""

    __slots__ = ("_hash", "_suite_id", "size")

    def __init__(self, algorithm: hashes.HashAlgorithm, suite_id: bytes) -> None:
        self._hash = algorithm
        self._suite_id = suite_id
        self.size = algorithm.digest_size
        """What an extraction yields, bytes."""

    def extract(self, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        """Return a pseudorandom key."""
        labelled = VERSION + self._suite_id + label + ikm
        return HKDF.extract(self._hash, salt, labelled)

    def expand(self, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        """Return so many bytes of a pseudorandom key."""
        labelled = length.to_bytes(2, "big") + VERSION + self._suite_id + label + info
        return HKDFExpand(self._hash, length, labelled).derive(prk)


class Kem(Protocol):
    """A key encapsulation mechanism (RFC 9180 section 4)."""

    id: int
    private_size: int
    """Bytes of a private key."""

    def public(self, private: bytes) -> bytes:
        """Return the public key of a private one."""

    def check(self, public: bytes) -> None:
        """Raise InvalidError unless this can be a public key."""

    def derive(self, ikm: bytes) -> bytes:
        """Return the private key that input keying material gives, always the same."""

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        """Return (shared secret, encapsulation); raise InvalidError for a bad public key."""

    def decapsulate(self, encapsulation: bytes, private: bytes) -> bytes:
        """Return the shared secret; raise InvalidError for a bad encapsulation."""


class _Montgomery:
    """X25519 or X448 as a group for DHKEM."""

    def __init__(
        self,
        private: type[x25519.X25519PrivateKey | x448.X448PrivateKey],
        public: type[x25519.X25519PublicKey | x448.X448PublicKey],
        size: int,
    ) -> None:
        self._private = private
        self._public = public
        self.private_size = size
        self.public_size = size

    def new(self) -> bytes:
        return self._private.generate().private_bytes_raw()

    def public(self, private: bytes) -> bytes:
        return self._private.from_private_bytes(private).public_key().public_bytes_raw()

    def load(self, public: bytes) -> x25519.X25519PublicKey | x448.X448PublicKey:
        return self._public.from_public_bytes(public)

    def exchange(self, private: bytes, public: bytes) -> bytes:
        # Raises ValueError where the result is all zero (RFC 9180 section 7.1.4): a public key of
        # low order would let its sender know the secret.
        mine = self._private.from_private_bytes(private)
        return mine.exchange(self.load(public))  # type: ignore[arg-type]  # both of one curve

    def derive(self, kdf: LabelledKdf, prk: bytes) -> bytes:
        return kdf.expand(prk, b"sk", b"", self.private_size)


class _Weierstrass:
    """A NIST curve as a group for DHKEM."""

    def __init__(self, curve: ec.EllipticCurve, order: int, mask: int) -> None:
        self._curve = curve
        self._order = order
        self._mask = mask
        self.private_size = (curve.key_size + 7) // 8
        self.public_size = 1 + 2 * self.private_size

    def _load(self, private: bytes) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(private, "big"), self._curve)

    def new(self) -> bytes:
        number = ec.generate_private_key(self._curve).private_numbers().private_value
        return number.to_bytes(self.private_size, "big")

    def public(self, private: bytes) -> bytes:
        point = self._load(private).public_key()
        return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def load(self, public: bytes) -> ec.EllipticCurvePublicKey:
        if len(public) != self.public_size:
            raise ValueError("not an uncompressed point")
        # Raises ValueError for a point off the curve, which would give the private key away.
        return ec.EllipticCurvePublicKey.from_encoded_point(self._curve, public)

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return self._load(private).exchange(ec.ECDH(), self.load(public))

    def derive(self, kdf: LabelledKdf, prk: bytes) -> bytes:
        for counter in range(256):
            drawn = bytearray(
                kdf.expand(prk, b"candidate", counter.to_bytes(1, "big"), self.private_size)
            )
            drawn[0] &= self._mask
            if 0 < int.from_bytes(drawn, "big") < self._order:
                return bytes(drawn)
        raise InvalidError("no key pair can be derived (RFC 9180 section 7.1.3)")


class DhKem:
    """DHKEM(group, HKDF) of RFC 9180 section 4.1."""

    def __init__(
        self, identifier: int, group: _Montgomery | _Weierstrass, algorithm: hashes.HashAlgorithm
    ) -> None:
        self.id = identifier
        self.private_size = group.private_size
        self._group = group
        self._kdf = LabelledKdf(algorithm, b"KEM" + identifier.to_bytes(2, "big"))

    def public(self, private: bytes) -> bytes:
        """Return the public key of a private one."""
        try:
            return self._group.public(private)
        except ValueError as error:
            raise InvalidError("not a private key of this KEM") from error

    def check(self, public: bytes) -> None:
        """Raise InvalidError unless this can be a public key."""
        try:
            self._group.load(public)
        except ValueError as error:
            raise InvalidError("not a public key of this KEM (RFC 9180 section 7.1.4)") from error

    def derive(self, ikm: bytes) -> bytes:
        """Return the private key of RFC 9180 section 7.1.3."""
        return self._group.derive(self._kdf, self._kdf.extract(b"", b"dkp_prk", ikm))

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        """Return (shared secret, encapsulation) for a public key."""
        ephemeral = self._group.new()
        encapsulation = self._group.public(ephemeral)
        return self._secret(ephemeral, public, encapsulation + public), encapsulation

    def decapsulate(self, encapsulation: bytes, private: bytes) -> bytes:
        """Return the shared secret in an encapsulation."""
        return self._secret(private, encapsulation, encapsulation + self.public(private))

    def _secret(self, private: bytes, public: bytes, context: bytes) -> bytes:
        try:
            shared = self._group.exchange(private, public)
        except ValueError as error:
            raise InvalidError("not a public key of this KEM (RFC 9180 section 7.1.4)") from error
        prk = self._kdf.extract(b"", b"eae_prk", shared)
        return self._kdf.expand(prk, b"shared_secret", context, self._kdf.size)


_EVERY_24_BITS: Final = sum(1 << 24 * place for place in range(384))
_TWELVE_BITS: Final = 0xFFF * _EVERY_24_BITS
_MISSING: Final = (4096 - 3329) * _EVERY_24_BITS
_OVERFLOW: Final = 0x1000 * _EVERY_24_BITS


class XWing:
    """X-Wing: ML-KEM-768 and X25519, joined by SHA3-256; a private key is its seed of 32 bytes."""

    id = 0x647A
    private_size = 32
    public_size = 1184 + 32
    encapsulation_size = 1088 + 32
    _LABEL: Final = rb"\.//^" + b"\\"

    def _expand(
        self, seed: bytes
    ) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey, bytes]:
        # ML-KEM takes 64 bytes of the expansion, X25519 the last 32 (section 5.2 of the draft).
        if len(seed) != self.private_size:
            raise InvalidError("a private key of X-Wing is a seed of 32 bytes")
        long = hashlib.shake_256(seed).digest(96)
        pq = mlkem.MLKEM768PrivateKey.from_seed_bytes(long[:64])
        classic = x25519.X25519PrivateKey.from_private_bytes(long[64:])
        return pq, classic, classic.public_key().public_bytes_raw()

    def _combine(self, pq: bytes, classic: bytes, sent: bytes, public: bytes) -> bytes:
        return hashlib.sha3_256(pq + classic + sent + public + self._LABEL).digest()

    def public(self, private: bytes) -> bytes:
        """Return the public key of a seed."""
        pq, _, classic = self._expand(private)
        return pq.public_key().public_bytes_raw() + classic

    def derive(self, ikm: bytes) -> bytes:
        """Return the seed that input keying material of at least 32 bytes gives."""
        return _labelled_derive(ikm, self.id, b"DeriveKeyPair", b"", self.private_size)

    def check(self, public: bytes) -> None:
        """Raise InvalidError unless this can be a public key.

        What ``_load`` refuses is refused here, in a tenth of its time: a joiner checks each node.
        """
        if len(public) != self.public_size:
            raise InvalidError("a public key of X-Wing has 1,216 bytes")
        # FIPS 203 section 7.2: none of the 768 numbers of 12 bits is 3,329 or more.  Half of them at
        # a time, each with 12 bits of room, they get 4,096 - 3,329 more; too large a one overflows.
        numbers = int.from_bytes(public[:1152], "little")
        for half in (numbers, numbers >> 12):
            if ((half & _TWELVE_BITS) + _MISSING) & _OVERFLOW:
                raise InvalidError("not a public key of X-Wing")

    def _load(self, public: bytes) -> tuple[mlkem.MLKEM768PublicKey, x25519.X25519PublicKey]:
        if len(public) != self.public_size:
            raise InvalidError("a public key of X-Wing has 1,216 bytes")
        try:
            # The check of FIPS 203 section 7.2 on the other side's key is the library's.
            return (
                mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]),
                x25519.X25519PublicKey.from_public_bytes(public[1184:]),
            )
        except (ValueError, InternalError) as error:
            raise InvalidError("not a public key of X-Wing") from error

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        """Return (shared secret, encapsulation) for a public key."""
        pq_key, classic_key = self._load(public)
        ephemeral = x25519.X25519PrivateKey.generate()
        sent = ephemeral.public_key().public_bytes_raw()
        pq, pq_sent = pq_key.encapsulate()
        try:
            classic = ephemeral.exchange(classic_key)
        except ValueError as error:
            raise InvalidError("a public key of X-Wing is of low order") from error
        return self._combine(pq, classic, sent, public[1184:]), pq_sent + sent

    def decapsulate(self, encapsulation: bytes, private: bytes) -> bytes:
        """Return the shared secret in an encapsulation."""
        if len(encapsulation) != self.encapsulation_size:
            raise InvalidError("an encapsulation of X-Wing has 1,120 bytes")
        pq_key, classic_key, public = self._expand(private)
        sent = encapsulation[1088:]
        try:
            pq = pq_key.decapsulate(encapsulation[:1088])
            classic = classic_key.exchange(x25519.X25519PublicKey.from_public_bytes(sent))
        except (ValueError, InternalError) as error:
            raise InvalidError("not an encapsulation of X-Wing") from error
        return self._combine(pq, classic, sent, public)


def _labelled_derive(ikm: bytes, kem: int, label: bytes, context: bytes, length: int) -> bytes:
    """Return SHAKE256 with the labels of draft-ietf-hpke-pq (one-stage ``LabeledDerive``)."""
    suite = b"KEM" + kem.to_bytes(2, "big")
    labelled = (
        ikm
        + VERSION
        + suite
        + len(label).to_bytes(2, "big")
        + label
        + length.to_bytes(2, "big")
        + context
    )
    return hashlib.shake_256(labelled).digest(length)


_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
    "581a0db248b0a77aecec196accc52973",
    16,
)
_P521_ORDER: Final = int(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)

X25519: Final = DhKem(
    0x0020, _Montgomery(x25519.X25519PrivateKey, x25519.X25519PublicKey, 32), hashes.SHA256()
)
X448: Final = DhKem(
    0x0021, _Montgomery(x448.X448PrivateKey, x448.X448PublicKey, 56), hashes.SHA512()
)
P256: Final = DhKem(0x0010, _Weierstrass(ec.SECP256R1(), _P256_ORDER, 0xFF), hashes.SHA256())
P384: Final = DhKem(0x0011, _Weierstrass(ec.SECP384R1(), _P384_ORDER, 0xFF), hashes.SHA384())
P521: Final = DhKem(0x0012, _Weierstrass(ec.SECP521R1(), _P521_ORDER, 0x01), hashes.SHA512())
XWING: Final = XWing()
