"""The store's key opens with the password's key and nothing else."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.vault import unwrap, wrap
from lairchat.mls.errors import DecryptionError, MalformedError, MLSError
from lairchat.model.identity import ServerId
from lairchat.trust.password import derive
from lairchat.trust.secret import SecretBytes

HERE, ELSEWHERE = ServerId(b"h" * 32), ServerId(b"e" * 32)
MASTER, KEY = SecretBytes(b"m" * 32), SecretBytes(b"k" * 32)


def test_it_opens_with_its_key() -> None:
    assert unwrap(wrap(MASTER, KEY, HERE, "alice", os.urandom), KEY, HERE, "Alice") == MASTER


def test_each_wrapping_is_another() -> None:
    wrapped = {wrap(MASTER, KEY, HERE, "alice", os.urandom) for _ in range(100)}
    assert len(wrapped) == 100
    assert not any(b"m" * 8 in one or b"k" * 8 in one for one in wrapped)


@pytest.mark.parametrize(
    ("key", "server", "name"),
    [
        (SecretBytes(b"x" * 32), HERE, "alice"),
        (KEY, ELSEWHERE, "alice"),
        (KEY, HERE, "bob"),
    ],
)
def test_it_opens_for_nobody_else(key: SecretBytes, server: ServerId, name: str) -> None:
    data = wrap(MASTER, KEY, HERE, "alice", os.urandom)
    with pytest.raises(DecryptionError, match="does not open"):
        unwrap(data, key, server, name)


def test_a_captured_login_secret_does_not_open_it() -> None:
    """What the server is given at login says nothing about the key of the vault."""
    keys = derive("long password of alice", HERE, "alice")
    data = wrap(MASTER, SecretBytes(keys.vault), HERE, "alice", os.urandom)
    with pytest.raises(DecryptionError):
        unwrap(data, SecretBytes(keys.authentication), HERE, "alice")
    assert unwrap(data, SecretBytes(keys.vault), HERE, "alice") == MASTER


def test_another_password_opens_nothing() -> None:
    """As after an operator has set a password anew."""
    data = wrap(
        MASTER, SecretBytes(derive("old password", HERE, "alice").vault), HERE, "alice", os.urandom
    )
    with pytest.raises(DecryptionError):
        unwrap(data, SecretBytes(derive("new password", HERE, "alice").vault), HERE, "alice")


def test_every_flipped_byte_and_every_cut_is_refused() -> None:
    data = wrap(MASTER, KEY, HERE, "alice", os.urandom)
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 0x80
        with pytest.raises((DecryptionError, MalformedError)):
            unwrap(bytes(bad), KEY, HERE, "alice")
        with pytest.raises(MalformedError):
            unwrap(data[:place], KEY, HERE, "alice")


@given(st.binary(max_size=100))
def test_garbage_raises_the_librarys_error(data: bytes) -> None:
    with pytest.raises(MLSError):
        unwrap(data, KEY, HERE, "alice")
