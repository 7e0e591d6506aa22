"""A secret is compared, counted and used, but never shown."""

import pytest

from lairchat.trust.secret import SecretBytes

CANARY = b"canary canary canary"


def test_nothing_that_prints_shows_it():
    secret = SecretBytes(CANARY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", f"{secret!a}"):
        assert "canary" not in shown
        assert CANARY.hex() not in shown


def test_it_is_compared_by_its_bytes():
    assert SecretBytes(CANARY) == SecretBytes(bytearray(CANARY))
    assert SecretBytes(CANARY) != SecretBytes(CANARY + b"!")
    assert SecretBytes(CANARY) != CANARY
    assert len(SecretBytes(CANARY)) == len(CANARY)
    assert SecretBytes(CANARY).reveal() == CANARY


def test_it_has_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(SecretBytes(CANARY))
