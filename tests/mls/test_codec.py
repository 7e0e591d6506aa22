"""The presentation language: one encoding for a value, and an end to every input (RFC 9420 section 2.1)."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.mls.codec import (
    MAX_VECTOR,
    OPAQUE,
    U8,
    U16,
    U32,
    U64,
    Choice,
    Fixed,
    Kept,
    Kind,
    Optional,
    Reader,
    Struct,
    Vector,
    decode,
    length,
)
from lairchat.mls.errors import MalformedError, MisuseError

KINDS: dict[str, tuple[Kind, st.SearchStrategy[Any]]] = {
    "u8": (U8, st.integers(0, 2**8 - 1)),
    "u16": (U16, st.integers(0, 2**16 - 1)),
    "u32": (U32, st.integers(0, 2**32 - 1)),
    "u64": (U64, st.integers(0, 2**64 - 1)),
    "opaque": (OPAQUE, st.binary(max_size=20000)),
    "fixed": (Fixed(4), st.binary(min_size=4, max_size=4)),
    "vector": (Vector(U16), st.lists(st.integers(0, 2**16 - 1)).map(tuple)),
    "optional": (Optional(OPAQUE), st.none() | st.binary()),
}


@given(st.data())
@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_is_read(name: str, data: st.DataObject) -> None:
    kind, values = KINDS[name]
    value = data.draw(values)
    assert decode(kind, kind.write(value)) == value


@given(st.binary(max_size=12))
@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_has_no_other_encoding(name: str, data: bytes) -> None:
    """Else a signature would cover several byte strings."""
    kind, _ = KINDS[name]
    try:
        value = decode(kind, data)
    except MalformedError:
        return
    assert kind.write(value) == data


@pytest.mark.parametrize(
    "data",
    [
        "",  # nothing
        "40",  # half a length
        "4000",  # 0 in two bytes
        "403f",  # 63 in two bytes
        "80000000",  # 0 in four bytes
        "80003fff",  # 16,383 in four bytes
        "c000000000000000",  # eight bytes
        "ff",
        "800040",
        "05aabbccdd",  # four of five
        "bfffffff",  # a gigabyte that is not there
    ],
)
def test_a_vector_that_is_none(data: str) -> None:
    with pytest.raises(MalformedError):
        decode(OPAQUE, bytes.fromhex(data))


@pytest.mark.parametrize("count", [0, 63, 64, 16383, 16384, MAX_VECTOR])
def test_lengths_at_their_edges(count: int) -> None:
    reader = Reader(length(count))
    assert reader.length() == count
    reader.finish()


def test_a_vector_has_a_longest_length() -> None:
    with pytest.raises(MisuseError):
        length(MAX_VECTOR + 1)


def test_a_vector_of_items_that_are_not_there_is_refused_before_any_is_read() -> None:
    reader = Reader(bytes.fromhex("bfffffff") + bytes(100))
    with pytest.raises(MalformedError, match="1073741823 bytes announced, 100 there"):
        Vector(U8).read(reader)
    assert reader.position == 4


def test_an_item_does_not_reach_past_its_vector() -> None:
    with pytest.raises(MalformedError, match="past the end"):
        Vector(U16).read(Reader(b"\3\0\0\0\0"))


def test_bytes_that_are_left_over_are_refused() -> None:
    with pytest.raises(MalformedError, match="1 bytes too many"):
        decode(U8, b"\0\0")
    with pytest.raises(MalformedError):
        decode(Vector(U16), b"\3\0\0\0")


def test_an_optional_value_is_there_or_not() -> None:
    for flag in range(2, 256):
        with pytest.raises(MalformedError):
            decode(Optional(U8), bytes([flag, 0]))


@pytest.mark.parametrize(("kind", "value"), [(U8, 256), (U16, -1), (U32, 2**32), (U64, 2**64)])
def test_a_number_that_does_not_fit_is_not_written(kind: Kind, value: int) -> None:
    with pytest.raises(MisuseError):
        kind.write(value)


def test_fixed_bytes_have_their_size() -> None:
    with pytest.raises(MisuseError):
        Fixed(4).write(b"123")
    with pytest.raises(MalformedError):
        decode(Fixed(4), b"123")


@dataclass(frozen=True, slots=True)
class _One(Struct):
    TYPE = 1
    LAYOUT = (U8,)
    value: int


@dataclass(frozen=True, slots=True)
class _Two(Kept):
    TYPE = 2
    LAYOUT = (U16, Vector(_One))
    value: int
    ones: tuple[_One, ...]


def test_a_choice_is_known_by_its_tag() -> None:
    kind = Choice("thing", U8, (_One, _Two))
    for value in (_One(7), _Two(7, ()), _Two(9, (_One(1), _One(2)))):
        assert decode(kind, kind.write(value)) == value
    with pytest.raises(MalformedError, match="no thing 3"):
        decode(kind, b"\3\0")


def test_a_struct_that_keeps_its_encoding_keeps_the_right_one() -> None:
    data = _Two(9, (_One(1),)).encode()
    read = _Two.decode(data)
    assert read.encode() == data == Struct.encode(read)
    changed = replace(read, value=10)
    assert changed.encode() == Struct.encode(changed) != data
    assert read.encode() == data
