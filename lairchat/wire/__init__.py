"""The protocol lair/1 without I/O, for both ends: bytes in, objects out, and the other way round.

Nothing in here knows sockets, time or Twisted.
``session`` is where to start: a :class:`~lairchat.wire.session.ServerSession` and a
:class:`~lairchat.wire.session.ClientSession` understand each other.
"""

__all__ = [
    "bulk",
    "closed",
    "codec",
    "contract",
    "errors",
    "frames",
    "objects",
    "scan",
    "session",
    "statement",
]
