"""Commits that do not fit an event: what stands there names them, and is written alike by both sides."""

import os
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.e2ee.room import Large
from lairchat.features.delivery import messages, rules
from lairchat.model import limits
from lairchat.wire.codec import decode_body, encode_body
from tests.e2ee.devices import talk


def test_client_and_server_name_a_commit_alike() -> None:
    commit = os.urandom(limits.EVENT_BYTES + 1)
    body, kept = rules.event_body(commit)
    assert kept == commit
    assert Large.of(commit).encode() == body
    assert Large.read(body) == Large(total=len(commit), digest=sha256(commit).digest())
    theirs = decode_body(messages.Large, Large.of(commit).encode())
    assert encode_body(theirs) == body


def test_a_commit_that_fits_is_not_taken_for_a_name() -> None:
    alice, _ = talk("alice", "bob")
    assert Large.read(alice.prepare().message) is None


@pytest.mark.parametrize(
    ("total", "size"), [(0, 32), (limits.COMMIT_BYTES + 1, 32), (2**62, 32), (9, 31), (9, 33)]
)
def test_nobody_is_made_to_fetch_what_is_no_commit(total: int, size: int) -> None:
    body = encode_body(messages.Large(total=total, digest=bytes(size)))
    assert Large.read(body) is None


@given(st.binary(max_size=100))
def test_garbage_names_nothing(data: bytes) -> None:
    assert Large.read(data) is None


def test_a_commit_is_told_by_its_length_and_its_hash() -> None:
    named = Large.of(b"commit")
    assert named.is_of(b"commit")
    assert not named.is_of(b"commiT")
    assert not Large(total=7, digest=named.digest).is_of(b"commit")
