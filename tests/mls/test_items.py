"""However long the input, only so many items are made of it (RFC 9420 says nothing of bounds)."""

import pytest

from lairchat.mls.codec import MAX_ITEMS, OPAQUE, U8, Reader, Vector, opaque
from lairchat.mls.errors import MalformedError
from lairchat.mls.messages import decode_message


def test_all_vectors_of_an_input_count_together():
    nested = Vector(Vector(U8))
    data = opaque(opaque(bytes(3)) + opaque(bytes(2)))
    assert nested.read(Reader(data, 7)) == ((0, 0, 0), (0, 0))
    with pytest.raises(MalformedError, match="more items"):
        nested.read(Reader(data, 6))


def test_bytes_are_no_items():
    assert OPAQUE.read(Reader(opaque(bytes(1_000)), 0)) == bytes(1_000)


def test_there_is_a_bound_where_nobody_gives_one():
    kind = Vector(U8)
    assert len(kind.read(Reader(opaque(bytes(MAX_ITEMS))))) == MAX_ITEMS
    with pytest.raises(MalformedError, match="more items"):
        kind.read(Reader(opaque(bytes(MAX_ITEMS + 1))))


def test_a_message_takes_a_bound_of_its_own():
    group_info = (
        b"\0\1\0\4" + b"\0\1\xf6\x4a" + opaque(b"id") + bytes(8) + opaque(b"") + opaque(b"")
    )
    extensions = opaque(b"\0\1\0" * 4)
    with pytest.raises(MalformedError, match="more items"):
        decode_message(group_info + extensions, 3)
