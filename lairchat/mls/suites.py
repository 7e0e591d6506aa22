"""Cipher suites: which algorithms a group uses, and MLS's labelled operations over them.

The suites of RFC 9420 section 17.1 are here for the official vectors and for interoperability; rooms
use the hybrid one only (draft-ietf-mls-pq-ciphersuites-06), under a private number because IANA has
given it none yet.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lairchat.mls import kem
from lairchat.mls.codec import opaque
from lairchat.mls.errors import InvalidError
from lairchat.mls.hpke import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305, Aead, Hpke

Random = Callable[[int], bytes]
"""Gives so many bytes that nobody can guess."""

PrivateKey = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | ec.EllipticCurvePrivateKey
SigningKey = bytes | PrivateKey
"""A private signature key, which may be parsed: for Ed25519 that costs as much as to sign.

Whoever signs more than once keeps the parsed one, no longer than it would keep the bytes.
"""

_LABEL: Final = b"MLS 1.0 "


@dataclass(frozen=True, slots=True)
class _EdDsa:
    """Ed25519 or Ed448 (RFC 8032)."""

    private: type[ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey]
    public: type[ed25519.Ed25519PublicKey | ed448.Ed448PublicKey]

    def parse(self, private: bytes) -> ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey:
        return self.private.from_private_bytes(private)

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        assert isinstance(key, self.private)
        return key.sign(data)

    def check(self, public: bytes, data: bytes, signature: bytes) -> None:
        self.public.from_public_bytes(public).verify(signature, data)

    def public_key(self, key: PrivateKey) -> bytes:
        assert isinstance(key, self.private)
        return key.public_key().public_bytes_raw()

    def generate(self) -> bytes:
        return self.private.generate().private_bytes_raw()


@dataclass(frozen=True, slots=True)
class _EcDsa:
    """ECDSA over a NIST curve; signatures are DER (RFC 9420 section 5.1.2)."""

    curve: ec.EllipticCurve
    algorithm: hashes.HashAlgorithm

    def parse(self, private: bytes) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(private, "big"), self.curve)

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(data, ec.ECDSA(self.algorithm))

    def check(self, public: bytes, data: bytes, signature: bytes) -> None:
        if public[:1] != b"\4":
            raise ValueError("not an uncompressed point")
        point = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, public)
        point.verify(signature, data, ec.ECDSA(self.algorithm))

    def public_key(self, key: PrivateKey) -> bytes:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        point = key.public_key()
        return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def generate(self) -> bytes:
        number = ec.generate_private_key(self.curve).private_numbers().private_value
        return number.to_bytes((self.curve.key_size + 7) // 8, "big")


@lru_cache(maxsize=64)
def _label_head(length: int, label: bytes) -> bytes:
    """Return how KDFLabel begins (section 8); labels are few, and none is secret."""
    return length.to_bytes(2, "big") + opaque(_LABEL + label)


class Suite:
    """The algorithms of one cipher suite (RFC 9420 section 5.1)."""

    __slots__ = (
        "_digest",
        "_hash",
        "_hash_name",
        "_hpke",
        "_signature",
        "aead",
        "hash_size",
        "id",
        "name",
    )

    def __init__(
        self,
        identifier: int,
        name: str,
        encapsulation: kem.Kem,
        aead: Aead,
        algorithm: hashes.HashAlgorithm,
        signature: _EdDsa | _EcDsa,
    ) -> None:
        self.id = identifier
        self.name = name
        self.aead = aead
        self.hash_size = algorithm.digest_size
        """KDF.Nh: bytes of a hash and of every secret."""
        self._hash = algorithm
        self._hash_name = algorithm.name
        self._digest = getattr(hashlib, algorithm.name)
        self._hpke = Hpke(encapsulation, algorithm, aead)
        self._signature = signature

    def __repr__(self) -> str:
        return f"<Suite {self.name}>"

    # Hashes and keys derived from keys: sections 5.1, 5.2 and 8.

    def hash(self, data: bytes) -> bytes:
        """Return the hash of some data."""
        digest: bytes = self._digest(data).digest()
        return digest

    def mac(self, key: bytes, data: bytes) -> bytes:
        """Return the MAC of some data: HMAC over the suite's hash."""
        return hmac.digest(key, data, self._hash_name)

    def check_mac(self, key: bytes, data: bytes, tag: bytes, what: str) -> None:
        """Raise InvalidError unless the tag is the MAC of the data."""
        if not hmac.compare_digest(self.mac(key, data), tag):
            raise InvalidError(f"{what} does not fit")

    def extract(self, salt: bytes, ikm: bytes) -> bytes:
        """Return KDF.Extract (RFC 5869 section 2.2)."""
        return HKDF.extract(self._hash, salt, ikm)

    def expand_with_label(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """Return ExpandWithLabel (section 8)."""
        info = _label_head(length, label) + opaque(context)
        return HKDFExpand(self._hash, length, info).derive(secret)

    def derive_secret(self, secret: bytes, label: bytes) -> bytes:
        """Return DeriveSecret (section 8)."""
        return self.expand_with_label(secret, label, b"", self.hash_size)

    def derive_tree_secret(
        self, secret: bytes, label: bytes, generation: int, length: int
    ) -> bytes:
        """Return DeriveTreeSecret (section 9)."""
        return self.expand_with_label(secret, label, generation.to_bytes(4, "big"), length)

    def ref_hash(self, label: bytes, value: bytes) -> bytes:
        """Return RefHash, by which key packages and proposals are named (section 5.2)."""
        return self.hash(opaque(label) + opaque(value))

    # Signatures: section 5.1.2.

    def generate_signature_key(self) -> bytes:
        """Return a new private signature key."""
        return self._signature.generate()

    def parse_signing_key(self, key: SigningKey) -> PrivateKey:
        """Return a private signature key, parsed."""
        return self._signature.parse(key) if isinstance(key, bytes) else key

    def signature_public(self, key: SigningKey) -> bytes:
        """Return the public key of a private signature key."""
        return self._signature.public_key(self.parse_signing_key(key))

    def sign(self, key: SigningKey, label: bytes, content: bytes) -> bytes:
        """Return SignWithLabel."""
        labelled = opaque(_LABEL + label) + opaque(content)
        return self._signature.sign(self.parse_signing_key(key), labelled)

    def verify(self, public: bytes, label: bytes, content: bytes, signature: bytes) -> None:
        """Raise InvalidError unless VerifyWithLabel holds."""
        try:
            self._signature.check(public, opaque(_LABEL + label) + opaque(content), signature)
        except (InvalidSignature, ValueError) as error:
            raise InvalidError(f"a signature ({label.decode()}) does not verify") from error

    # Public-key encryption: sections 5.1.3 and 8.3.

    def hpke_public(self, private: bytes) -> bytes:
        """Return the public key of a private HPKE key."""
        return self._hpke.kem.public(private)

    def check_hpke_public(self, public: bytes) -> None:
        """Raise InvalidError unless this can be a public HPKE key."""
        self._hpke.kem.check(public)

    def hpke_derive(self, secret: bytes) -> bytes:
        """Return the private key of KEM.DeriveKeyPair."""
        return self._hpke.kem.derive(secret)

    def encrypt_with_label(
        self, public: bytes, label: bytes, context: bytes, plaintext: bytes
    ) -> tuple[bytes, bytes]:
        """Return (KEM output, ciphertext) of EncryptWithLabel."""
        info = opaque(_LABEL + label) + opaque(context)
        return self._hpke.seal(public, info, b"", plaintext)

    def decrypt_with_label(
        self, private: bytes, label: bytes, context: bytes, kem_output: bytes, ciphertext: bytes
    ) -> bytes:
        """Return the plaintext of DecryptWithLabel; raise InvalidError if it does not open."""
        info = opaque(_LABEL + label) + opaque(context)
        return self._hpke.open(kem_output, private, info, b"", ciphertext)

    def external_init_send(self, public: bytes) -> tuple[bytes, bytes]:
        """Return (KEM output, init secret) of an external commit (section 8.3)."""
        return self._hpke.send_export(public, b"", _EXTERNAL, self.hash_size)

    def external_init_receive(self, private: bytes, kem_output: bytes) -> bytes:
        """Return the init secret of an external commit (section 8.3)."""
        return self._hpke.receive_export(kem_output, private, b"", _EXTERNAL, self.hash_size)


_EXTERNAL: Final = b"MLS 1.0 external init secret"

_ED25519: Final = _EdDsa(ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)
_ED448: Final = _EdDsa(ed448.Ed448PrivateKey, ed448.Ed448PublicKey)

HYBRID: Final = Suite(
    0xF64A,
    "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519",
    kem.XWING,
    AES_256_GCM,
    hashes.SHA384(),
    _ED25519,
)
"""What rooms use; its number is of the private range of section 17.1 (0xF000 to 0xFFFF)."""

SUITES: Final = {
    suite.id: suite
    for suite in (
        Suite(
            0x0001,
            "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
            kem.X25519,
            AES_128_GCM,
            hashes.SHA256(),
            _ED25519,
        ),
        Suite(
            0x0002,
            "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
            kem.P256,
            AES_128_GCM,
            hashes.SHA256(),
            _EcDsa(ec.SECP256R1(), hashes.SHA256()),
        ),
        Suite(
            0x0003,
            "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
            kem.X25519,
            CHACHA20_POLY1305,
            hashes.SHA256(),
            _ED25519,
        ),
        Suite(
            0x0004,
            "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
            kem.X448,
            AES_256_GCM,
            hashes.SHA512(),
            _ED448,
        ),
        Suite(
            0x0005,
            "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
            kem.P521,
            AES_256_GCM,
            hashes.SHA512(),
            _EcDsa(ec.SECP521R1(), hashes.SHA512()),
        ),
        Suite(
            0x0006,
            "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
            kem.X448,
            CHACHA20_POLY1305,
            hashes.SHA512(),
            _ED448,
        ),
        Suite(
            0x0007,
            "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
            kem.P384,
            AES_256_GCM,
            hashes.SHA384(),
            _EcDsa(ec.SECP384R1(), hashes.SHA384()),
        ),
        HYBRID,
    )
}
"""Every suite of this library by its number."""


def suite_of(number: int) -> Suite:
    """Return the suite of a number; raise InvalidError if it is not one of ours."""
    suite = SUITES.get(number)
    if suite is None:
        raise InvalidError(f"cipher suite 0x{number:04x} is not known here")
    return suite
