"""Defends: the codec's short cut is taken only for types that leave no room for harm."""

import datetime as dt
import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Raw

from lairchat.model import limits
from lairchat.wire.closed import is_closed
from lairchat.wire.objects import Bytes16, ClientFrame, Int63, Seconds, ServerFrame


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Leaf(msgspec.Struct):
    number: Int63
    name: str = ""


class Tree(msgspec.Struct):
    leaves: list[Leaf]
    by_name: dict[str, Leaf] = {}
    pair: tuple[Leaf, bool] | None = None


class Open(msgspec.Struct):
    number: int


class Recursive(msgspec.Struct):
    child: "Recursive | None" = None


CLOSED: list[Any] = [
    None,
    bool,
    str,
    bytes,
    Bytes16,
    Int63,
    Seconds,
    Annotated[int, Meta(lt=2**63 - 1)],
    Annotated[float, Meta(gt=-1.0, lt=1.0)],
    Literal["a", 1],
    Colour,
    Level,
    str | None,
    list[str],
    tuple[str, ...],
    dict[str, bool],
    Leaf,
    Tree,
]
OPEN: list[Any] = [
    Any,
    int,
    int | None,
    Annotated[int, Meta(ge=0)],
    float,
    Annotated[float, Meta(ge=0)],
    Annotated[float, Meta(le=1)],
    Raw,
    list,
    dict,
    list[int],
    dict[str, Any],
    dict[int, str],
    dict[bytes, str],
    set[str],
    frozenset[str],
    msgspec.msgpack.Ext,
    Open,
    Recursive,
    list[Open],
]


@pytest.mark.parametrize("kind", CLOSED, ids=str)
def test_closed(kind: Any) -> None:
    assert is_closed(kind)


@pytest.mark.parametrize("kind", OPEN, ids=str)
def test_open(kind: Any) -> None:
    assert not is_closed(kind)


def test_extension_types_are_open() -> None:
    for kind in (dt.datetime, dt.date, dt.timedelta):
        assert not is_closed(kind)


def test_levels_are_counted() -> None:
    kind: Any = str
    for levels in range(limits.DECODE_DEPTH + 1):
        assert is_closed(kind)
        assert is_closed(kind, levels=levels)
        assert levels == 0 or not is_closed(kind, levels=levels - 1)
        kind = list[kind]
    assert not is_closed(kind)


def test_all_frames_are_closed_but_for_what_others_open() -> None:
    """Defends: decode_client and decode_server take the short cut."""
    for frames in (ClientFrame, ServerFrame):
        assert is_closed(frames, raw=True)
        assert not is_closed(frames)
