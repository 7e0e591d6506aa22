"""Reads what lies inside of arguments, and keeps replies within a frame."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from lairchat.wire import codec
from lairchat.wire.frames import frame

T = TypeVar("T")

PAGE_BYTES = 60_000
"""bytes: content of one reply at most; what is left of a frame is for the fields around it."""


def encode_frame(value: msgspec.Struct) -> bytes:
    """Encode a frame with its header, where a handler builds the whole of it by itself.

    For the hot path: one encoding instead of one for the body and one for the frame around it.
    """
    return frame(codec.encode_body(value))


def read_inside(kind: type[T], data: bytes) -> T:
    """Decode a value that travels as bytes inside the arguments of a command.

    The server looks into few of them (messages of plain rooms), and then with the same care.
    Raises ProtocolError, LC-ARGS or LC-DECODE...
    """
    return codec.decode_args(kind, data)


def size_of(value: msgspec.Struct) -> int:
    """Return how many bytes a value takes in a reply."""
    return len(codec.encode_body(value))


def fit(values: Iterable[T], *, budget: int = PAGE_BYTES) -> tuple[list[T], bool]:
    """Return as many of the first values as fit, and whether all did not.

    Takes no more of an iterator than one value past the last that fits.
    """
    kept: list[T] = []
    for value in values:
        budget -= len(codec.encode_body(value))
        if budget < 0:
            return kept, True
        kept.append(value)
    return kept, False


__all__ = ["PAGE_BYTES", "encode_frame", "fit", "read_inside", "size_of"]
