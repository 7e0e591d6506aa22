"""Looks through a MessagePack value before anything is built from it.

The decoder behind this accepts what would hurt later: nesting that exhausts the stack, a key
given twice (two readers may then see two different maps), integers that no database column takes,
NaN, strings in skipped fields that are no UTF-8 (security.md, fact 9).  One walk over the bytes
refuses all of it, without recursion deeper than the bound and without allocating what is claimed.

Every form of a value that the MessagePack specification allows is fine here: long forms of small
numbers and lengths, and keys in any order.
"""

import struct
from math import isfinite
from typing import Final

from lairchat.model import limits
from lairchat.wire.errors import ProtocolError

_float32: Final = struct.Struct(">f").unpack_from
_float64: Final = struct.Struct(">d").unpack_from


def _fixed_sizes() -> tuple[int, ...]:
    """Return, by first byte, the size of values whose content needs no look; 0 for the others."""
    sizes = [0] * 256
    sizes[0x00:0x80] = [1] * 0x80  # small integers
    sizes[0xE0:0x100] = [1] * 0x20  # small negative integers
    sizes[0xC0] = sizes[0xC2] = sizes[0xC3] = 1  # nil, false, true
    sizes[0xCC:0xCF] = [2, 3, 5]  # uint 8, 16, 32
    sizes[0xD0:0xD4] = [2, 3, 5, 9]  # int 8, 16, 32, 64
    return tuple(sizes)


_FIXED: Final = _fixed_sizes()

_BINARY: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_TEXT: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}
"""Bytes of length that follow these first bytes."""


def scan(
    body: bytes, *, levels: int = limits.DECODE_DEPTH, items: int = limits.DECODE_ITEMS
) -> None:
    """Refuse a body that is not one whole MessagePack value within our bounds.

    levels: how many maps and arrays may stand inside each other.
    items: how many values and keys there may be in all.
    Raises ProtocolError with an LC-DECODE code.
    """
    try:
        end = _Walk(body, items).value(0, levels)
    except (IndexError, struct.error):
        raise _truncated() from None
    except UnicodeDecodeError:
        raise ProtocolError("LC-DECODE-TEXT") from None
    if end > len(body):
        raise _truncated()
    if end < len(body):
        raise ProtocolError("LC-DECODE", f"the value ends at byte {end} of {len(body)}")


def _truncated() -> ProtocolError:
    return ProtocolError("LC-DECODE", "the value is cut off")


class _Walk:
    """One look through one body; each method takes where something starts and returns its end.

    An end may lie behind the body's: whoever reads there next, or :func:`scan`, finds it cut off.
    """

    __slots__ = ("body", "left")

    def __init__(self, body: bytes, items: int) -> None:
        self.body = body
        self.left = items - 1

    def value(self, at: int, levels: int) -> int:
        """Pass one value of any kind."""
        first = self.body[at]
        size = _FIXED[first]
        if size:
            return at + size
        if first < 0x90:
            return self.map(at + 1, first & 0x0F, levels)
        if first < 0xA0:
            return self.array(at + 1, first & 0x0F, levels)
        if first < 0xC0:
            return self.text(at + 1, first & 0x1F)
        if first in _BINARY:
            return at + 1 + _BINARY[first] + self.length(at + 1, _BINARY[first])
        if first in _TEXT:
            return self.text(at + 1 + _TEXT[first], self.length(at + 1, _TEXT[first]))
        if first in _ARRAY:
            return self.array(at + 1 + _ARRAY[first], self.length(at + 1, _ARRAY[first]), levels)
        if first in _MAP:
            return self.map(at + 1 + _MAP[first], self.length(at + 1, _MAP[first]), levels)
        return self.number(at, first)

    def length(self, at: int, width: int) -> int:
        """Read a length of so many bytes."""
        if at + width > len(self.body):
            raise _truncated()
        return int.from_bytes(self.body[at : at + width], "big")

    def text(self, at: int, size: int) -> int:
        """Pass a string's bytes."""
        end = at + size
        if end > len(self.body):
            raise _truncated()
        self.body[at:end].decode()
        return end

    def number(self, at: int, first: int) -> int:
        """Pass the numbers that can be out of range, and refuse what is no value of ours."""
        if first == 0xCF and self.body[at + 1] < 0x80:
            return at + 9
        if first == 0xCA and isfinite(_float32(self.body, at + 1)[0]):
            return at + 5
        if first == 0xCB and isfinite(_float64(self.body, at + 1)[0]):
            return at + 9
        if first in {0xCA, 0xCB, 0xCF}:
            raise ProtocolError("LC-DECODE-NUMBER")
        if first == 0xC1:
            raise ProtocolError("LC-DECODE", f"byte {at} is c1, which begins no value")
        raise ProtocolError("LC-DECODE-TYPE")

    def enter(self, items: int, levels: int) -> None:
        """Count a container with its items, before the loop over them.

        An array may claim four billion items in five bytes.
        """
        if levels == 0:
            raise ProtocolError("LC-DECODE-DEPTH")
        self.left -= items
        if self.left < 0:
            raise ProtocolError("LC-DECODE-COUNT")

    def array(self, at: int, size: int, levels: int) -> int:
        """Pass so many values."""
        self.enter(size, levels)
        body, value = self.body, self.value
        for _ in range(size):
            width = _FIXED[body[at]]
            at = at + width if width else value(at, levels - 1)
        return at

    def map(self, at: int, size: int, levels: int) -> int:
        """Pass so many pairs, whose keys are strings that differ."""
        self.enter(2 * size, levels)
        body, value, end = self.body, self.value, len(self.body)
        keys = set()
        for _ in range(size):
            first = body[at]
            at += 1
            if 0xA0 <= first < 0xC0:
                stop = at + (first & 0x1F)
            elif first in _TEXT:
                stop = at + _TEXT[first] + self.length(at, _TEXT[first])
                at += _TEXT[first]
            else:
                raise ProtocolError("LC-DECODE-KEY")
            if stop >= end:
                raise _truncated()
            # Compared as text: the same key can be written with a shorter or a longer length.
            keys.add(body[at:stop].decode())
            width = _FIXED[body[stop]]
            at = stop + width if width else value(stop, levels - 1)
        if len(keys) < size:
            raise ProtocolError("LC-DECODE-DUPLICATE")
        return at
