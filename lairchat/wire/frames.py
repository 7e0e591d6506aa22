"""Cuts a stream of bytes into frames: four bytes of big-endian length, then that many of body.

Promises not to know: what a body means, sockets.
"""

from struct import Struct
from typing import Final

from lairchat.model import limits
from lairchat.wire.errors import MisuseError, ProtocolError

_HEADER: Final = limits.FRAME_HEADER_BYTES
_length_at: Final = Struct(">I").unpack_from

_FOREIGN: Final = (
    (b"\x16\x03", "TLS inside TLS"),
    (b"SSH-", "SSH"),
    (b"GET ", "HTTP"),
    (b"POST", "HTTP"),
    (b"HEAD", "HTTP"),
    (b"PUT ", "HTTP"),
    (b"PRI ", "HTTP/2"),
    (b"OPTI", "HTTP"),
    (b"CONN", "HTTP"),
    (b"NICK", "IRC"),
    (b"USER", "IRC"),
    (b"CAP ", "IRC"),
    (b"PASS", "IRC"),
    (b"<?xm", "XMPP"),
    (b"<str", "XMPP"),
    (b"EHLO", "SMTP"),
    (b"HELO", "SMTP"),
)
"""How other protocols begin; each reads as a length far above any limit of ours."""


def frame(body: bytes) -> bytes:
    """Return the body with its header, ready to be sent."""
    size = len(body)
    if not 0 < size <= limits.FRAME_BYTES:
        raise MisuseError(f"a frame holds 1 to {limits.FRAME_BYTES} bytes, not {size}")
    return size.to_bytes(_HEADER, "big") + body


class FrameReader:
    """Collects what a stream brings until frames are whole.

    limit: the longest body accepted, bytes; it may be changed between calls.

    Takes linear time however the stream is cut, and holds at most one incomplete frame: never
    more than ``limit`` + 4 bytes, plus the chunk being looked at.
    """

    __slots__ = ("_bad", "_held", "_need", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: bytearray | None = None
        self._need = 0  # bytes of `_held` from which looking at it again makes sense
        self._bad: bytes | None = None  # the header that broke the stream

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return 0 if self._held is None else len(self._held)

    def receive(self, data: bytes) -> list[bytes]:
        """Take a chunk of the stream and return the bodies that became whole with it.

        Raises ProtocolError LC-FRAME-SIZE or LC-FRAME-EMPTY as soon as a header shows it, with the
        bodies in front of that header in ``before``; from then on nobody knows where frames begin,
        so that every further call raises the same error and keeps nothing.
        """
        if self._bad is not None:
            raise _explain(self._bad, self.limit)
        if self._held is not None:
            # A bytearray grows in place: joining bytes would copy a big frame with every chunk.
            self._held += data
            if len(self._held) < self._need:
                return []
            data = bytes(self._held)
            self._held = None
        bodies: list[bytes] = []
        end = len(data)
        start = 0
        while end - start >= _HEADER:
            body = start + _HEADER
            (size,) = _length_at(data, start)
            # Checked before a single byte of the body is kept: a claim costs us nothing.
            if not 0 < size <= self.limit:
                self._bad = data[start:body]
                fault = _explain(self._bad, self.limit)
                fault.before = bodies
                raise fault
            stop = body + size
            if stop > end:
                self._hold(data[start:], _HEADER + size)
                return bodies
            bodies.append(data[body:stop])
            start = stop
        if start < end:
            self._hold(data[start:], _HEADER)
        return bodies

    def _hold(self, rest: bytes, need: int) -> None:
        self._held = bytearray(rest)
        self._need = need


def _explain(header: bytes, limit: int) -> ProtocolError:
    size = int.from_bytes(header, "big")
    if size == 0:
        return ProtocolError("LC-FRAME-EMPTY")
    text = f"a frame claims {size} bytes, and {limit} is the most here"
    for start, name in _FOREIGN:
        if header.startswith(start):
            text += f"; it looks like {name}, and this port speaks lair/1"
    return ProtocolError("LC-FRAME-SIZE", text)
