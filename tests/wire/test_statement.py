"""Defends: architecture.md, decision 11: what the identity's signature covers."""

import pytest

from lairchat.wire.statement import identity_bytes


def test_the_bytes_that_are_signed() -> None:
    spki = bytes(range(32))
    assert identity_bytes(spki, 1_790_000_000) == (
        b"lairchat server identity v1\0" + spki + bytes.fromhex("000000006ab13b80")
    )


def test_a_hash_has_32_bytes() -> None:
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            identity_bytes(bytes(size), 1)
