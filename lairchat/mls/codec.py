"""The presentation language of RFC 9420 section 2.1: structs, stated once, read and written alike.

A struct is a frozen dataclass with a LAYOUT that gives the kind of each field in order; reading and
writing come from it, so they cannot differ.
Reading is strict: lengths in their shortest form, no bytes left over, nothing longer than what is
there; its time and memory are bounded by the length of the input.

Promises not to know: what any struct means.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar

from lairchat.mls.errors import MalformedError, MisuseError

T = TypeVar("T")

MAX_VECTOR: Final = (1 << 30) - 1
"""The longest vector that a length prefix of four bytes can announce, bytes (section 2.1.2)."""

MAX_ITEMS: Final = 1 << 18
"""How many items all vectors of one input may have together, unless a reader is told less: enough for
the tree of the widest group here.  Megabytes of the smallest items would become a hundred times as much
memory, and seconds."""


class Reader:
    """Reads one input from its start to its end."""

    __slots__ = ("_data", "_end", "_left", "_position")

    def __init__(self, data: bytes, items: int = MAX_ITEMS) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)
        self._left = items

    def count(self) -> None:
        """Count an item of a vector; raise MalformedError if there are too many in this input."""
        self._left -= 1
        if self._left < 0:
            raise MalformedError("there are more items than anything has here")

    def take(self, count: int) -> bytes:
        """Return the next bytes; raise MalformedError if they are not there."""
        start = self._position
        stop = start + count
        if stop > self._end:
            raise MalformedError(f"{count} bytes announced, {self._end - start} there")
        self._position = stop
        return self._data[start:stop]

    def uint(self, size: int) -> int:
        """Return an unsigned integer of so many bytes, big-endian."""
        start = self._position
        stop = start + size
        if stop > self._end:
            raise MalformedError(f"{size} bytes announced, {self._end - start} there")
        self._position = stop
        return int.from_bytes(self._data[start:stop], "big")

    def length(self) -> int:
        """Return the length of a vector, in bytes (section 2.1.2)."""
        start = self._position
        if start >= self._end:
            raise MalformedError("a length is missing")
        first = self._data[start]
        self._position = start + 1
        prefix = first >> 6
        if not prefix:
            return first
        if prefix == 3:
            raise MalformedError("a length of eight bytes is not used in MLS")
        rest = (1 << prefix) - 1
        value = (first & 0x3F) << (8 * rest) | self.uint(rest)
        # One value has one encoding, or a signature would cover several byte strings.
        if value < (1 << 6 if prefix == 1 else 1 << 14):
            raise MalformedError("a length is not in its shortest form")
        return value

    def opaque(self) -> bytes:
        """Return a vector of bytes."""
        return self.take(self.length())

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return self._position

    def since(self, position: int) -> bytes:
        """Return the bytes that have been read since a position."""
        return self._data[position : self._position]

    @property
    def remaining(self) -> int:
        """How many bytes have not been read."""
        return self._end - self._position

    def finish(self) -> None:
        """Raise MalformedError if anything is left."""
        if self.remaining:
            raise MalformedError(f"{self.remaining} bytes too many")


_SHORT: Final = [bytes([count]) for count in range(1 << 6)]


def length(count: int) -> bytes:
    """Return the prefix of a vector of so many bytes (section 2.1.2)."""
    if count < 1 << 6:
        return _SHORT[count]
    if count < 1 << 14:
        return (count | 0x4000).to_bytes(2, "big")
    if count <= MAX_VECTOR:
        return (count | 0x8000_0000).to_bytes(4, "big")
    raise MisuseError(f"a vector holds at most {MAX_VECTOR} bytes, not {count}")


def opaque(data: bytes) -> bytes:
    """Return a vector of bytes."""
    return length(len(data)) + data


class Kind(Protocol):
    """How one kind of field is read and written."""

    def read(self, reader: Reader) -> Any:
        """Return the value at the reader's place; raise MalformedError if there is none."""

    def write(self, value: Any) -> bytes:
        """Return the encoding of a value."""


class Uint:
    """An unsigned integer of a fixed number of bytes."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def read(self, reader: Reader) -> int:
        """Return the value at the reader's place."""
        return reader.uint(self._size)

    def write(self, value: int) -> bytes:
        """Return the encoding of a value."""
        try:
            return value.to_bytes(self._size, "big")
        except OverflowError as error:
            raise MisuseError(f"{value} does not fit into {self._size} bytes") from error


class Opaque:
    """A vector of bytes."""

    def read(self, reader: Reader) -> bytes:
        """Return the value at the reader's place."""
        return reader.opaque()

    def write(self, value: bytes) -> bytes:
        """Return the encoding of a value."""
        return length(len(value)) + value


class Fixed:
    """So many bytes, without a length."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def read(self, reader: Reader) -> bytes:
        """Return the value at the reader's place."""
        return reader.take(self._size)

    def write(self, value: bytes) -> bytes:
        """Return the encoding of a value."""
        if len(value) != self._size:
            raise MisuseError(f"{self._size} bytes expected, not {len(value)}")
        return value


class Vector:
    """A vector of items of one kind, read as a tuple."""

    __slots__ = ("_kind",)

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def read(self, reader: Reader) -> tuple[Any, ...]:
        """Return the value at the reader's place."""
        size = reader.length()
        # Before any item is made of what is there.
        if size > reader.remaining:
            raise MalformedError(f"{size} bytes announced, {reader.remaining} there")
        stop = reader.position + size
        read = self._kind.read
        found = []
        # Every kind takes at least one byte, so this ends.
        while reader.position < stop:
            reader.count()
            found.append(read(reader))
        if reader.position > stop:
            raise MalformedError("an item reaches past the end of its vector")
        return tuple(found)

    def write(self, value: Iterable[Any]) -> bytes:
        """Return the encoding of a value."""
        write = self._kind.write
        return opaque(b"".join([write(item) for item in value]))


class Optional:
    """A byte that says whether the value follows (section 2.1.1)."""

    __slots__ = ("_kind",)

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def read(self, reader: Reader) -> Any:
        """Return the value at the reader's place."""
        present = reader.uint(1)
        if present > 1:
            raise MalformedError("an optional value is there or not")
        return self._kind.read(reader) if present else None

    def write(self, value: Any) -> bytes:
        """Return the encoding of a value."""
        return b"\0" if value is None else b"\1" + self._kind.write(value)


class Struct:
    """A struct whose fields stand one after the other, as LAYOUT says.

    Subclasses are frozen dataclasses with one kind in LAYOUT for each of their fields.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()
    LAYOUT: ClassVar[tuple[Kind, ...]] = ()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the struct at the reader's place."""
        return cls(*[kind.read(reader) for kind in cls.LAYOUT])

    @staticmethod
    def write(value: "Struct") -> bytes:
        """Return the encoding of a value."""
        return value.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the struct that these bytes are, all of them; raise MalformedError otherwise."""
        reader = Reader(data)
        found = cls.read(reader)
        reader.finish()
        return found

    def encode(self) -> bytes:
        """Return the encoding."""
        return b"".join([write(getattr(self, name)) for name, write in self._fields()])

    @classmethod
    @cache
    def _fields(cls) -> list[tuple[str, Callable[[Any], bytes]]]:
        """Return the fields, each with what writes it."""
        kinds = zip(cls.__match_args__, cls.LAYOUT, strict=True)
        return [(name, kind.write) for name, kind in kinds]


class Kept(Struct):
    """A struct of public data that keeps its encoding, because it is signed, hashed and sent.

    Strict reading makes an encoding the only one of its value, so what was read is kept too.
    ``dataclasses.replace`` makes a struct that has none yet.
    """

    __slots__ = ("_encoded",)
    _encoded: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Return the struct at the reader's place."""
        start = reader.position
        found = cls(*[kind.read(reader) for kind in cls.LAYOUT])
        object.__setattr__(found, "_encoded", reader.since(start))
        return found

    def encode(self) -> bytes:
        """Return the encoding."""
        try:
            return self._encoded
        except AttributeError:
            object.__setattr__(self, "_encoded", Struct.encode(self))
            return self._encoded


class Choice:
    """A struct chosen by a tag in front of it; each has its tag as TYPE."""

    __slots__ = ("_choices", "_tag", "_what")

    def __init__(self, what: str, tag: Uint, choices: Iterable[type[Struct]]) -> None:
        self._what = what
        self._tag = tag
        self._choices: Mapping[int, type[Struct]] = {
            choice.TYPE: choice  # type: ignore[attr-defined]  # what makes it a choice
            for choice in choices
        }

    def read(self, reader: Reader) -> Any:
        """Return the value at the reader's place."""
        tag = self._tag.read(reader)
        choice = self._choices.get(tag)
        if choice is None:
            # What is unknown has no length that could be stepped over.
            raise MalformedError(f"there is no {self._what} {tag}")
        return choice.read(reader)

    def write(self, value: Any) -> bytes:
        """Return the encoding of a value."""
        encoded: bytes = value.encode()
        return self._tag.write(value.TYPE) + encoded


def decode(kind: Kind, data: bytes) -> Any:
    """Return the one value that these bytes are, all of them; raise MalformedError otherwise."""
    reader = Reader(data)
    found = kind.read(reader)
    reader.finish()
    return found


U8: Final = Uint(1)
U16: Final = Uint(2)
U32: Final = Uint(4)
U64: Final = Uint(8)
OPAQUE: Final = Opaque()
