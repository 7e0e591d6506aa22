"""Cipher suites: all work, none takes what another has signed or sealed (RFC 9420 sections 5.1, 5.2, 8)."""

import os

import pytest

from lairchat.mls.errors import DecryptionError, InvalidError, MLSError
from lairchat.mls.suites import HYBRID, SUITES, Suite, suite_of

every = pytest.mark.parametrize("suite", SUITES.values(), ids=[f"{n:04x}" for n in SUITES])


def test_the_hybrid_suite_has_a_private_number() -> None:
    """Section 17.1: 0xF000 to 0xFFFF are for private use."""
    assert 0xF000 <= HYBRID.id <= 0xFFFF
    assert HYBRID.hash_size == 48
    assert HYBRID.aead.key_size == 32
    assert suite_of(HYBRID.id) is HYBRID
    assert repr(HYBRID) == "<Suite MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519>"


def test_a_suite_that_is_not_ours_is_refused() -> None:
    for number in (0, 8, 0xF649, 0xFFFF):
        with pytest.raises(InvalidError, match=f"0x{number:04x}"):
            suite_of(number)


@every
def test_a_signature_is_for_its_key_label_and_content(suite: Suite) -> None:
    private, other = suite.generate_signature_key(), suite.generate_signature_key()
    public = suite.signature_public(private)
    signature = suite.sign(private, b"label", b"content")
    suite.verify(public, b"label", b"content", signature)
    for changed in (
        (suite.signature_public(other), b"label", b"content", signature),
        (public, b"other", b"content", signature),
        (public, b"label", b"other", signature),
        # What stands between label and content does not move.
        (public, b"labe", b"lcontent", signature),
    ):
        with pytest.raises(InvalidError, match="does not verify"):
            suite.verify(*changed)


@every
def test_bytes_that_are_no_signature_or_key_are_refused(suite: Suite) -> None:
    private = suite.generate_signature_key()
    public = suite.signature_public(private)
    signature = suite.sign(private, b"label", b"content")
    for bad in (b"", b"\0", signature[:-1], bytes(len(signature)), b"\x30\x00", os.urandom(200)):
        with pytest.raises(InvalidError):
            suite.verify(public, b"label", b"content", bad)
    for bad in (b"", b"\0", public[:-1], public + b"\0", b"\4" * len(public), b"\2" + public[1:]):
        with pytest.raises(InvalidError):
            suite.verify(bad, b"label", b"content", signature)


@every
def test_what_is_encrypted_opens_under_its_key_label_and_context(suite: Suite) -> None:
    private = suite.hpke_derive(os.urandom(suite.hash_size))
    public = suite.hpke_public(private)
    sealed = suite.encrypt_with_label(public, b"label", b"context", b"x")
    assert suite.decrypt_with_label(private, b"label", b"context", *sealed) == b"x"
    with pytest.raises(DecryptionError):
        suite.decrypt_with_label(private, b"other", b"context", *sealed)
    with pytest.raises(DecryptionError):
        suite.decrypt_with_label(private, b"label", b"other", *sealed)
    with pytest.raises(MLSError):
        suite.decrypt_with_label(private, b"label", b"context", b"", sealed[1])


@every
def test_both_sides_of_an_external_join_have_one_secret(suite: Suite) -> None:
    private = suite.hpke_derive(os.urandom(suite.hash_size))
    sent, secret = suite.external_init_send(suite.hpke_public(private))
    assert suite.external_init_receive(private, sent) == secret
    assert len(secret) == suite.hash_size
    with pytest.raises(InvalidError):
        suite.external_init_receive(private, b"")


@every
def test_a_mac_is_checked_whole(suite: Suite) -> None:
    tag = suite.mac(b"key", b"data")
    suite.check_mac(b"key", b"data", tag, "a tag")
    for bad in (b"", tag[:-1], tag + b"\0", bytes(len(tag))):
        with pytest.raises(InvalidError, match="a tag does not fit"):
            suite.check_mac(b"key", b"data", bad, "a tag")
