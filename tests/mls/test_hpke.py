"""HPKE, held against the one of cryptography in both directions (RFC 9180)."""

import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hpke as theirs
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lairchat.mls import hpke, kem
from lairchat.mls.errors import DecryptionError, InvalidError

KDFS = {
    "HKDF_SHA256": hashes.SHA256(),
    "HKDF_SHA384": hashes.SHA384(),
    "HKDF_SHA512": hashes.SHA512(),
}
AEADS = {
    "AES_128_GCM": hpke.AES_128_GCM,
    "AES_256_GCM": hpke.AES_256_GCM,
    "CHACHA20_POLY1305": hpke.CHACHA20_POLY1305,
}
CURVES = {"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}
KEMS = {
    "P256": kem.P256,
    "P384": kem.P384,
    "P521": kem.P521,
    "X25519": kem.X25519,
    "MLKEM768_X25519": kem.XWING,
}


def _their_key(name: str, private: bytes) -> object:
    if name == "X25519":
        return x25519.X25519PrivateKey.from_private_bytes(private)
    if name == "MLKEM768_X25519":
        pq, classic, _ = kem.XWING._expand(private)
        assert isinstance(pq, mlkem.MLKEM768PrivateKey)
        return theirs.MLKEM768X25519PrivateKey(pq, classic)
    return ec.derive_private_key(int.from_bytes(private, "big"), CURVES[name])


@pytest.mark.parametrize("aead", AEADS)
@pytest.mark.parametrize("kdf", KDFS)
@pytest.mark.parametrize("name", KEMS)
def test_each_opens_what_the_other_sealed(name: str, kdf: str, aead: str) -> None:
    scheme = KEMS[name]
    ours = hpke.Hpke(scheme, KDFS[kdf], AEADS[aead])
    other = theirs.Suite(
        getattr(theirs.KEM, name), getattr(theirs.KDF, kdf), getattr(theirs.AEAD, aead)
    )
    private = scheme.derive(os.urandom(64))
    public = scheme.public(private)
    key = _their_key(name, private)
    sealed = b"".join(ours.seal(public, b"info", b"", b"from us"))
    assert other.decrypt(sealed, key, info=b"info") == b"from us"
    sent = other.encrypt(b"from them", key.public_key(), info=b"info")
    size = len(sent) - len(b"from them") - hpke.TAG_SIZE
    assert ours.open(sent[:size], private, b"info", b"", sent[size:]) == b"from them"


@pytest.mark.parametrize("name", KEMS)
def test_what_was_sealed_opens_only_as_it_was(name: str) -> None:
    scheme = KEMS[name]
    ours = hpke.Hpke(scheme, hashes.SHA384(), hpke.AES_256_GCM)
    private = scheme.derive(os.urandom(64))
    sent, sealed = ours.seal(scheme.public(private), b"info", b"aad", b"x")
    assert ours.open(sent, private, b"info", b"aad", sealed) == b"x"
    for changed in (
        (sent, private, b"other", b"aad", sealed),
        (sent, private, b"info", b"other", sealed),
        (sent, scheme.derive(b"other" * 8), b"info", b"aad", sealed),
        (sent, private, b"info", b"aad", sealed[:-1]),
        (sent, private, b"info", b"aad", b""),
        (sent, private, b"info", b"aad", bytes(len(sealed))),
    ):
        with pytest.raises(DecryptionError):
            ours.open(*changed)
    with pytest.raises(InvalidError):
        ours.open(b"", private, b"info", b"aad", sealed)


def test_both_sides_export_the_same_and_by_label() -> None:
    ours = hpke.Hpke(kem.XWING, hashes.SHA384(), hpke.AES_256_GCM)
    private = kem.XWING.derive(os.urandom(48))
    sent, secret = ours.send_export(kem.XWING.public(private), b"info", b"label", 48)
    assert ours.receive_export(sent, private, b"info", b"label", 48) == secret
    assert ours.receive_export(sent, private, b"info", b"other", 48) != secret
    assert ours.receive_export(sent, private, b"other", b"label", 48) != secret


@pytest.mark.parametrize("curve", CURVES)
def test_keys_are_uncompressed_points(curve: str) -> None:
    public = KEMS[curve].public(KEMS[curve].derive(bytes(66)))
    point = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve], public)
    assert point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == public
