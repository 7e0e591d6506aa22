"""Who is to blame: the other end, whose bytes broke the protocol, or we, who misused this package.

A :class:`ProtocolError` becomes an ``error`` frame; its code comes from :data:`CODES`.
What a well-formed command may be refused for is not here but in :mod:`lairchat.model.refusals`.
"""

from collections.abc import Sequence
from typing import Final

from lairchat.model.text import display_clip

CODES: Final[dict[str, str]] = {
    "LC-FRAME-SIZE": "a frame claims to be longer than allowed here",
    "LC-FRAME-EMPTY": "a frame without a body",
    "LC-FRAME-OBJECT": "the body is not one of the objects that this end may receive",
    "LC-DECODE": "the body is not one whole MessagePack value",
    "LC-DECODE-DEPTH": "maps and arrays are nested too deeply",
    "LC-DECODE-COUNT": "more values than one frame may hold",
    "LC-DECODE-DUPLICATE": "a map holds the same key twice",
    "LC-DECODE-KEY": "a map has a key that is not a string",
    "LC-DECODE-TYPE": "a MessagePack extension type, timestamps included",
    "LC-DECODE-NUMBER": "an integer outside -2^63 .. 2^63-1, a NaN or an infinity",
    "LC-DECODE-TEXT": "a string that is not UTF-8",
    "LC-STAGE": "this may not be sent at this stage of the session",
    "LC-VERSION": "both ends have no version of the protocol in common",
    "LC-REPLY": "an answer to a request that is not waiting for one",
    "LC-PONG": "a pong to a ping that was never sent or is answered already",
    "LC-BODY": "a reply or event does not have the fields of its type",
    "LC-ARGS": "the arguments do not have the fields of this command",
    "LC-COMMAND-UNKNOWN": "the server has no such command",
}
"""Every code that a :class:`ProtocolError` can carry, with what it means."""

_TEXT_CHARS: Final = 400  # what Error.text may hold
_FIELD_CHARS: Final = 80  # what Error.field may hold


class ProtocolError(Exception):
    """The other end broke the protocol; ``before`` holds what it had sent properly until then.

    code: one of :data:`CODES`.
    text: a sentence for people, safe to show and log; None takes the meaning of the code.
    field: path of what is wrong, such as ``$.name``, where there is one.
    before: what was received whole before the fault, in order: frame objects from a session,
    bodies from a :class:`~lairchat.wire.frames.FrameReader`.  Handling it first keeps the outcome
    the same, however the bytes were cut into chunks.
    """

    def __init__(self, code: str, text: str | None = None, *, field: str | None = None) -> None:
        # Both may quote the other end: made safe and short here, once for wire, log and screen.
        self.code = code
        self.text = display_clip(CODES[code] if text is None else text, _TEXT_CHARS)
        self.field = None if field is None else display_clip(field, _FIELD_CHARS)
        self.before: Sequence[object] = ()
        super().__init__(code, self.text, self.field)

    def __str__(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.code}: {self.text}{where}"


class MisuseError(Exception):
    """This end called the library wrongly, or tried to send what it may not: a bug of ours."""
