"""What a message may be, and how the log's events look on the wire."""

from typing import Final

import msgspec

from lairchat.features.messages.messages import LogEvent, StateChange
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.model.refusals import TextBad, TextEmpty, TextLong

NIL_ID: Final = bytes(limits.COMMAND_ID_BYTES)
"""The id of the server's own statements; no client's id is this one, it would be of 1970."""

SERVER: Final = 0
"""User and device of the server's own statements."""

SEALED: Final = 0
"""The first byte of every MLSMessage (RFC 9420 section 6), and of no map."""

TOMBSTONE: Final = "tombstone"
"""What stands in place of the class of an event whose body is gone; the event that says of another one
that it is deleted is a "hint"."""
KIND_WORDS: Final = {
    EventClass.APP: "app",
    EventClass.COMMIT: "commit",
    EventClass.PROPOSAL: "proposal",
    EventClass.TOMBSTONE: "hint",
    EventClass.STATE: "state",
}
"""The classes that are stored, as the wire calls them."""

_encode: Final = msgspec.msgpack.Encoder().encode


def check_text(text: str) -> None:
    """Refuse a text that is no message: too long, nothing but blanks, or with a NUL in it.

    All other characters are kept as they were sent, controls too: what a terminal may be shown is
    the client's to decide (``display_safe``), and only it knows the terminal.  NUL ends a string
    for too many programs that will read exports and logs.
    Raises TextLong, TextEmpty, TextBad.
    """
    if len(text) > limits.MESSAGE_CHARS:
        raise TextLong(size=len(text), limit=limits.MESSAGE_CHARS, field="$.body")
    if not text or text.isspace():
        raise TextEmpty(field="$.body")
    if "\0" in text:
        raise TextBad(field="$.body")


def kind_word(kind: int) -> str:
    """Return a stored class of events as the wire calls it."""
    return KIND_WORDS[EventClass(kind)]


def state_body(change: StateChange) -> bytes:
    """Encode what the server states in a room's log."""
    return _encode(change)


def state_event(room: int, seq: int, at: int, body: bytes) -> LogEvent:
    """Return a statement of the server as the event that members are sent."""
    return LogEvent(
        room=room,
        seq=seq,
        at=at,
        user=SERVER,
        name="",
        device=SERVER,
        kind=KIND_WORDS[EventClass.STATE],
        id=NIL_ID,
        body=body,
    )
