"""What is said when somebody is removed from a room."""

from lairchat.model import limits
from lairchat.model.text import display_clip

BANS_PAGE = 200
"""count: bans in one answer, fewer when their reasons fill the frame."""


def clean_reason(text: str) -> str:
    """Return a reason as one safe line of at most 200 characters.

    It is shown in a sentence of the server's, in other people's terminals and in logs, so nothing
    of it may look like something else.
    """
    return display_clip(text.strip(), limits.REASON_CHARS)


def farewell(by: str, room: str, done: str, reason: str) -> str:
    """Return the sentence that tells somebody why a room is gone for them.

    done: removed or banned.
    """
    return f"{by} {done} you from #{room}{f': {reason}' if reason else ''}"
