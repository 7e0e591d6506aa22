"""MessagePack written and read by hand from its specification, as a client in C would do it.

Nothing here shares code with lairchat or msgspec, so that agreement between them means something.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

LEVELS = 8
ITEMS = 4096


class Form:
    """Decides how things are written: which of the lengths that fit, and which order of keys.

    pick: chooses from the forms that fit, shortest first.
    """

    def __init__(self, pick: Callable[[Sequence[bytes]], bytes], *, reverse: bool = False) -> None:
        self.pick = pick
        self.reverse = reverse

    def write(self, value: Any) -> bytes:
        match value:
            case None:
                return b"\xc0"
            case bool():
                return b"\xc3" if value else b"\xc2"
            case int():
                return self.pick(integer_forms(value))
            case float():
                return b"\xcb" + struct.pack(">d", value)
            case str():
                return self.text(value)
            case bytes():
                return self.pick(heads(len(value), {0xC4: 1, 0xC5: 2, 0xC6: 4})) + value
            case list():
                head = self.pick(heads(len(value), {0xDC: 2, 0xDD: 4}, (0x90, 16)))
                return head + b"".join(map(self.write, value))
            case dict():
                pairs = list(value.items())
                return self.pairs(pairs[::-1] if self.reverse else pairs)
        raise TypeError(value)

    def text(self, value: str) -> bytes:
        data = value.encode("utf-8", "surrogatepass")  # a C program would not check either
        return self.pick(heads(len(data), {0xD9: 1, 0xDA: 2, 0xDB: 4}, (0xA0, 32))) + data

    def pairs(self, pairs: list[tuple[Any, Any]]) -> bytes:
        """Write a map, in which a key may stand twice or be no string."""
        head = self.pick(heads(len(pairs), {0xDE: 2, 0xDF: 4}, (0x80, 16)))
        return head + b"".join(self.write(key) + self.write(value) for key, value in pairs)


def heads(size: int, widths: dict[int, int], fix: tuple[int, int] | None = None) -> Sequence[bytes]:
    """Return the ways to announce a size: first bytes with the width of the length behind them."""
    ways = [bytes([fix[0] | size])] if fix and size < fix[1] else []
    for first, width in widths.items():
        if size < 1 << 8 * width:
            ways.append(bytes([first]) + size.to_bytes(width, "big"))
    return ways


def integer_forms(value: int) -> Sequence[bytes]:
    ways = [value.to_bytes(1, "big", signed=True)] if -32 <= value < 128 else []
    for first, width, signed in (
        (0xCC, 1, False),
        (0xD0, 1, True),
        (0xCD, 2, False),
        (0xD1, 2, True),
        (0xCE, 4, False),
        (0xD2, 4, True),
        (0xCF, 8, False),
        (0xD3, 8, True),
    ):
        try:
            ways.append(bytes([first]) + value.to_bytes(width, "big", signed=signed))
        except OverflowError:
            continue
    return ways


SHORT = Form(lambda ways: min(ways, key=len))
LONG = Form(lambda ways: max(ways, key=len), reverse=True)
"""What a lazy client sends: one code path, always the longest length, fields in any order."""


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


class Bad(Exception):
    """What :func:`read` does not take; the argument says why."""


def read(body: bytes, levels: int = LEVELS, items: int = ITEMS) -> Any:
    """Read a value by the rules of lair/1, or raise Bad."""
    value, rest, count = _read(body, levels)
    if rest:
        raise Bad("trailing")
    if count > items:
        raise Bad("count")
    return value


def _take(data: bytes, size: int) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise Bad("truncated")
    return data[:size], data[size:]


def _size(data: bytes, width: int) -> tuple[int, bytes]:
    head, rest = _take(data, width)
    return int.from_bytes(head, "big"), rest


WIDTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def _read(data: bytes, levels: int) -> tuple[Any, bytes, int]:
    head, data = _take(data, 1)
    first = head[0]
    if first < 0x80:
        return first, data, 1
    if first >= 0xE0:
        return first - 0x100, data, 1
    if first < 0x90:
        return _read_map(data, first & 15, levels)
    if first < 0xA0:
        return _read_array(data, first & 15, levels)
    if first < 0xC0:
        return _read_text(data, first & 31)
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], data, 1
    if 0xCA <= first <= 0xD3:
        return _read_number(data, first)
    if first not in WIDTHS:
        raise Bad("type")
    size, data = _size(data, WIDTHS[first])
    if first <= 0xC6:
        raw, data = _take(data, size)
        return raw, data, 1
    if first <= 0xDB:
        return _read_text(data, size)
    return (_read_array if first <= 0xDD else _read_map)(data, size, levels)


def _read_number(data: bytes, first: int) -> tuple[int | float, bytes, int]:
    if first in (0xCA, 0xCB):
        raw, data = _take(data, 4 if first == 0xCA else 8)
        number = struct.unpack(">f" if first == 0xCA else ">d", raw)[0]
        if not float("-inf") < number < float("inf"):  # NaN is not between them either
            raise Bad("not finite")
        return number, data, 1
    raw, data = _take(data, 1 << (first - 0xCC) % 4)
    value = int.from_bytes(raw, "big", signed=first >= 0xD0)
    if value >= 1 << 63:
        raise Bad("range")
    return value, data, 1


def _read_text(data: bytes, size: int) -> tuple[str, bytes, int]:
    raw, rest = _take(data, size)
    try:
        return raw.decode("utf-8", "strict"), rest, 1
    except UnicodeDecodeError:
        raise Bad("text") from None


def _read_array(data: bytes, size: int, levels: int) -> tuple[list[Any], bytes, int]:
    if levels == 0:
        raise Bad("depth")
    found, count = [], 1
    for _ in range(size):
        value, data, items = _read(data, levels - 1)
        found.append(value)
        count += items
    return found, data, count


def _read_map(data: bytes, size: int, levels: int) -> tuple[dict[str, Any], bytes, int]:
    if levels == 0:
        raise Bad("depth")
    found: dict[str, Any] = {}
    count = 1
    for _ in range(size):
        key, data, _ = _read(data, levels - 1)
        if not isinstance(key, str):
            raise Bad("key")
        value, data, items = _read(data, levels - 1)
        if key in found:
            raise Bad("duplicate")
        found[key] = value
        count += items + 1
    return found, data, count
