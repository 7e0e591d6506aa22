"""What one message says to a person who has nothing else: an operator to whom somebody has shown it.

What it answers, what it changes and what others said to it is not in it, and not told.

Promises not to know: who signed it, and whether.
"""

from typing import NamedTuple

from lairchat.e2ee.payload import Edit, Poll, Text, body_of, decode_payload
from lairchat.wire.errors import ProtocolError

UNREADABLE = "unreadable"
"""The kind of what is no message of this version."""


class Told(NamedTuple):
    """What a message says.

    kind: text, action, edit, poll, or another one, which has no text here.
    at: when, by its author's clock, ms.
    """

    kind: str
    text: str
    at: int


def told(data: bytes) -> Told:
    """Return what a sealed message said, in words; what cannot be read is said to be so.

    data: what was sealed.  The text is as its author wrote it: whoever shows it makes it safe.
    """
    try:
        payload = decode_payload(data)
        body = body_of(payload)
    except ProtocolError:
        return Told(UNREADABLE, "", 0)
    match body:
        case Text(text, me):
            return Told("action" if me else "text", text, payload.at)
        case Edit(_, text):
            return Told("edit", text, payload.at)
        case Poll(question, options):
            return Told("poll", "\n".join([question, *(f"- {one}" for one in options)]), payload.at)
    tag = body.__struct_config__.tag
    return Told(str(tag or "unknown"), "", payload.at)
