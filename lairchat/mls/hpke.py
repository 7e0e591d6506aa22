"""Hybrid public key encryption, RFC 9180, in its base mode, with the export of section 5.3.

PyCA's ``hpke`` seals and opens but exports nothing, knows no X448, and external commits need the
export: so the schedule of section 5.1 is here, and tests hold it against PyCA's where both can.
One key seals one message, so the sequence number is always 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from lairchat.mls.errors import DecryptionError
from lairchat.mls.kem import Kem, LabelledKdf

_MODE_BASE: Final = b"\0"
TAG_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Aead:
    """An AEAD algorithm by its number in RFC 9180 section 7.3."""

    id: int
    key_size: int
    cipher: Callable[[bytes], AESGCM | ChaCha20Poly1305]
    nonce_size: int = 12

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Return the ciphertext with its tag."""
        return self.cipher(key).encrypt(nonce, plaintext, aad)

    def open(self, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """Return the plaintext; raise DecryptionError if the tag does not fit."""
        try:
            return self.cipher(key).decrypt(nonce, ciphertext, aad)
        except (InvalidTag, ValueError) as error:
            # ValueError: shorter than a tag.
            raise DecryptionError("a ciphertext does not open") from error


AES_128_GCM: Final = Aead(0x0001, 16, AESGCM)
AES_256_GCM: Final = Aead(0x0002, 32, AESGCM)
CHACHA20_POLY1305: Final = Aead(0x0003, 32, ChaCha20Poly1305)

_KDF_IDS: Final = {"sha256": 0x0001, "sha384": 0x0002, "sha512": 0x0003}


class Hpke:
    """One HPKE ciphersuite: a KEM, HKDF over a hash, an AEAD."""

    __slots__ = ("_aead", "_head", "_kdf", "kem")

    def __init__(self, kem: Kem, algorithm: hashes.HashAlgorithm, aead: Aead) -> None:
        self.kem = kem
        self._aead = aead
        numbers = (kem.id, _KDF_IDS[algorithm.name], aead.id)
        self._kdf = LabelledKdf(
            algorithm, b"HPKE" + b"".join(number.to_bytes(2, "big") for number in numbers)
        )
        self._head = _MODE_BASE + self._kdf.extract(b"", b"psk_id_hash", b"")

    def _schedule(self, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
        """Return (secret, context) of KeySchedule, section 5.1; the base mode has no PSK."""
        context = self._head + self._kdf.extract(b"", b"info_hash", info)
        return self._kdf.extract(shared, b"secret", b""), context

    def _key(self, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
        """Return (key, nonce) of the one message."""
        secret, context = self._schedule(shared, info)
        return (
            self._kdf.expand(secret, b"key", context, self._aead.key_size),
            self._kdf.expand(secret, b"base_nonce", context, self._aead.nonce_size),
        )

    def seal(self, public: bytes, info: bytes, aad: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        """Return (encapsulation, ciphertext) for the holder of a public key (section 6.1)."""
        shared, encapsulation = self.kem.encapsulate(public)
        return encapsulation, self._aead.seal(*self._key(shared, info), aad, plaintext)

    def open(
        self, encapsulation: bytes, private: bytes, info: bytes, aad: bytes, ciphertext: bytes
    ) -> bytes:
        """Return the plaintext; raise InvalidError for a bad encapsulation or ciphertext."""
        shared = self.kem.decapsulate(encapsulation, private)
        return self._aead.open(*self._key(shared, info), aad, ciphertext)

    def send_export(
        self, public: bytes, info: bytes, label: bytes, length: int
    ) -> tuple[bytes, bytes]:
        """Return (encapsulation, exported secret), section 6.2."""
        shared, encapsulation = self.kem.encapsulate(public)
        return encapsulation, self._export(shared, info, label, length)

    def receive_export(
        self, encapsulation: bytes, private: bytes, info: bytes, label: bytes, length: int
    ) -> bytes:
        """Return the secret that the sender of an encapsulation exported, section 6.2."""
        return self._export(self.kem.decapsulate(encapsulation, private), info, label, length)

    def _export(self, shared: bytes, info: bytes, label: bytes, length: int) -> bytes:
        # Section 5.3: the exporter secret, and what is exported from it.
        secret, context = self._schedule(shared, info)
        exporter = self._kdf.expand(secret, b"exp", context, self._kdf.size)
        return self._kdf.expand(exporter, b"sec", label, length)
