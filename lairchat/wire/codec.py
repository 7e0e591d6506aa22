"""Turns frame objects into bytes and back: the one boundary at which foreign bytes get a type.

Promises not to know: stages, sockets, who sent it.

What arrives is decoded and encoded again.  When that gives the same bytes, and the type is closed
(see :mod:`lairchat.wire.closed`), nothing harmful can be in them; this takes a fifth of the time
of a scan.  Whatever was written in another form (longer numbers, another order of keys, fields of
a newer version) goes through :func:`~lairchat.wire.scan.scan` first.
Arguments and bodies stay raw until their type is known: :func:`decode_args` and
:func:`decode_body` check them in the same way.
"""

import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw

from lairchat.model import limits
from lairchat.wire.closed import is_closed
from lairchat.wire.errors import ProtocolError
from lairchat.wire.frames import frame
from lairchat.wire.objects import ClientFrame, ServerFrame
from lairchat.wire.scan import scan

__all__ = [
    "decode_args",
    "decode_body",
    "decode_client",
    "decode_server",
    "encode",
    "encode_body",
    "scan",
]

T = TypeVar("T")

_encode: Final = msgspec.msgpack.Encoder().encode

_INNER_LEVELS: Final = limits.DECODE_DEPTH - 1
"""Levels that are left inside of a frame's own map."""

_PATH: Final = re.compile(r" - at (?:`key` in )?`([^`]*)`\Z")
_NAMED: Final = re.compile(
    r"\AObject (?:missing required|contains unknown) field `(.*)`\Z", re.DOTALL
)


def encode_body(value: Any) -> bytes:
    """Encode the arguments of a command, a reply or what an event carries, for a Raw field."""
    return _encode(value)


def encode(value: ClientFrame | ServerFrame) -> bytes:
    """Encode a frame object with its header; MisuseError if it is too large for any frame."""
    return frame(_encode(value))


class _Reader(Generic[T]):
    """Decodes one type of value from bytes that nobody has looked at yet.

    code: of the error for what is sound MessagePack, but no such value.
    levels, items: how many maps and arrays these bytes may nest, how many values they may hold.
    raw: whether fields are left undecoded, for another reader.
    """

    __slots__ = ("_closed", "_code", "_decode", "_items", "_levels")

    def __init__(self, kind: Any, code: str, *, levels: int, items: int, raw: bool = False) -> None:
        self._decode: Callable[[bytes], T] = msgspec.msgpack.Decoder(kind).decode
        self._closed = is_closed(kind, levels=levels, raw=raw)
        self._code = code
        self._levels = levels
        self._items = items

    def read(self, data: bytes) -> T:
        """Return the value; ProtocolError if the bytes are harmful or hold something else."""
        # So few bytes cannot hold too many values; more are counted before anything is built.
        if self._closed and len(data) <= self._items:
            try:
                value = self._decode(data)
            except (ValueError, RecursionError):
                pass  # the scan below finds out what is wrong, in our words
            else:
                if _encode(value) == data:
                    return value
        scan(data, levels=self._levels, items=self._items)
        try:
            return self._decode(data)
        except msgspec.DecodeError as error:
            raise _explain(self._code, str(error)) from None


def _explain(code: str, message: str) -> ProtocolError:
    """Say in which field a value does not fit its type, from the decoder's own message."""
    path = _PATH.search(message)
    field = "$" if path is None else path[1]
    reason = message if path is None else message[: path.start()]
    named = _NAMED.match(reason)
    if named is not None:
        field += "." + named[1]
    return ProtocolError(code, reason, field=field)


_CLIENT_FRAME: Final = _Reader[ClientFrame](
    ClientFrame,
    "LC-FRAME-OBJECT",
    levels=limits.DECODE_DEPTH,
    items=limits.DECODE_ITEMS,
    raw=True,
)
_SERVER_FRAME: Final = _Reader[ServerFrame](
    ServerFrame,
    "LC-FRAME-OBJECT",
    levels=limits.DECODE_DEPTH,
    items=limits.DECODE_ITEMS_SERVER,
    raw=True,
)
_ARGS: Final[dict[Any, _Reader[Any]]] = {}
_BODIES: Final[dict[Any, _Reader[Any]]] = {}


def decode_client(body: bytes) -> ClientFrame:
    """Decode the body of a frame from a client.

    Raises ProtocolError, LC-DECODE... or LC-FRAME-OBJECT.  The arguments of a command may still
    be anything: only :func:`decode_args` may open them.
    """
    return _CLIENT_FRAME.read(body)


def decode_server(body: bytes) -> ServerFrame:
    """Decode the body of a frame from a server, as :func:`decode_client` does for a client's."""
    return _SERVER_FRAME.read(body)


def decode_args(kind: type[T], raw: Raw | bytes) -> T:
    """Decode a command's arguments, or what travels inside of them as bytes.

    Raises ProtocolError: LC-ARGS with the path of the field that is wrong, or LC-DECODE...
    """
    reader: _Reader[T] | None = _ARGS.get(kind)
    if reader is None:
        reader = _ARGS[kind] = _Reader(
            kind, "LC-ARGS", levels=_INNER_LEVELS, items=limits.DECODE_ITEMS
        )
    return reader.read(bytes(raw))


def decode_body(kind: type[T], raw: Raw | bytes) -> T:
    """Decode a reply's or an event's body; raises ProtocolError LC-BODY or LC-DECODE..."""
    reader: _Reader[T] | None = _BODIES.get(kind)
    if reader is None:
        reader = _BODIES[kind] = _Reader(
            kind, "LC-BODY", levels=_INNER_LEVELS, items=limits.DECODE_ITEMS_SERVER
        )
    return reader.read(bytes(raw))
