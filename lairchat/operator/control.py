"""What lairctl and the daemon say to each other on the daemon's Unix socket: JSON, one object a line.

Both ends are of one version, more or less: it is no public protocol.  The caller sends a
:class:`Run` and then answers what it is asked until :class:`Done`; one command at a time.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from lairchat.model import limits

__all__ = [
    "LINE_BYTES",
    "Ask",
    "Complete",
    "Done",
    "FileText",
    "FromCaller",
    "FromDaemon",
    "Greet",
    "Hello",
    "Offer",
    "Read",
    "Reply",
    "Run",
    "Size",
    "Stop",
    "Text",
    "decode_caller",
    "decode_daemon",
    "encode",
]  # fmt: skip

LINE_BYTES: Final = 6 * limits.PUBLIC_FILE_CHARS + 4 * limits.KIB
"""bytes: the longest line from a caller: a file whose every character is written as an escape."""
_NAME_BYTES: Final = 107
"""bytes: the longest name of a Unix socket."""
TEXT_CHARS: Final = 32 * limits.KIB
"""characters: of an answer in one line from the daemon."""


class FromCaller(msgspec.Struct, tag_field="t", frozen=True, omit_defaults=True):
    """What lairctl sends."""


class Run(FromCaller, frozen=True, tag="run"):
    """Asks for a command, as words or as a line that is yet to be cut into words.

    asks: whether somebody can answer questions.  screen: whether a live screen can be shown.
    """

    words: list[str] | None = None
    line: str = ""
    columns: int = 80
    asks: bool = False
    screen: bool = False


class Reply(FromCaller, frozen=True, tag="reply"):
    """Answers a question."""

    yes: bool


class FileText(FromCaller, frozen=True, tag="file"):
    """What the file holds that was asked for, or why that is not told."""

    text: str = ""
    why: str = ""


class Size(FromCaller, frozen=True, tag="size"):
    """The terminal has another width now."""

    columns: int


class Stop(FromCaller, frozen=True, tag="stop"):
    """Ends what goes on by itself: a live screen, a log that is followed."""


class Complete(FromCaller, frozen=True, tag="complete"):
    """Asks what the word before the cursor could become."""

    line: str
    cursor: int


class Greet(FromCaller, frozen=True, tag="greet"):
    """Asks for what stands above the first prompt."""


class FromDaemon(msgspec.Struct, tag_field="t", frozen=True, omit_defaults=True):
    """What the daemon sends."""


class Hello(FromDaemon, frozen=True, tag="hello"):
    """Opens the connection."""

    version: str


class Ask(FromDaemon, frozen=True, tag="ask"):
    """Wants a yes or a no."""

    text: str


class Read(FromDaemon, frozen=True, tag="read"):
    """Wants the text of a file that the command named; lairctl reads no other."""

    path: str


class Text(FromDaemon, frozen=True, tag="text"):
    """A part of the answer.

    error: it belongs on standard error.  frame: it takes the place of the last one.
    """

    text: str
    error: bool = False
    frame: bool = False


class Done(FromDaemon, frozen=True, tag="done"):
    """The command has ended, with this exit status."""

    status: int


class Offer(FromDaemon, frozen=True, tag="offer"):
    """What could stand in the line from ``start`` to the cursor."""

    start: int
    words: list[str]


Caller = Run | Reply | FileText | Size | Stop | Complete | Greet
Daemon = Hello | Ask | Read | Text | Done | Offer

_encode: Final = msgspec.json.Encoder().encode
_caller: "Final[msgspec.json.Decoder[Caller]]" = msgspec.json.Decoder(Caller)
_daemon: "Final[msgspec.json.Decoder[Daemon]]" = msgspec.json.Decoder(Daemon)


def encode(message: FromCaller | FromDaemon) -> bytes:
    """Return a message as a line; raises UnicodeEncodeError for text that is not Unicode."""
    return _encode(message) + b"\n"


def decode_caller(line: bytes) -> Caller:
    """Read what lairctl sent; raises ValueError for anything else."""
    try:
        return _caller.decode(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decode_daemon(line: bytes) -> Daemon:
    """Read what the daemon sent; raises ValueError for anything else."""
    return _daemon.decode(line)


def short_name(path: Path) -> tuple[str, int]:
    """Return a name that a Unix socket may have, and a descriptor that must stay open (or -1).

    A socket's name has at most 107 bytes; a directory may lie deeper.
    """
    if len(os.fsencode(path)) <= _NAME_BYTES:
        return str(path), -1
    descriptor = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    return f"/proc/self/fd/{descriptor}/{path.name}", descriptor
