"""The log of what operators do: one event for every command, whatever door it came through.

A structured line now, in the namespace ``lairchat.audit``, which no level of the log silences.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from twisted.logger import Logger

from lairchat.model import limits
from lairchat.model.text import display_clip
from lairchat.wire.shown import Kind, kind_of

__all__ = ["NAMESPACE", "Audit", "Entry", "described", "write"]

NAMESPACE = "lairchat.audit"
_LINE_CHARS = 3 * limits.VALUE_CHARS
_log = Logger(NAMESPACE)


class Entry(NamedTuple):
    """One command.

    who: account, or ``local:UID``.  source: the door, and the address if it has one.
    line: the command without secrets; of what was not understood only the part that was.
    status: as the door reports it; over the chat 0 or 1.  code: of the refusal, or "".
    """

    who: str
    source: str
    line: str
    status: int
    code: str


Audit = Callable[[Entry], None]


def write(entry: Entry) -> None:
    """Write an entry to the log."""
    _log.info(
        "{who} from {source}: {line} -> {status} {code}",
        who=entry.who,
        source=entry.source,
        line=display_clip(entry.line, _LINE_CHARS),
        status=entry.status,
        code=entry.code or "ok",
    )


def described(name: str, request: msgspec.Struct) -> str:
    """Write a command down as the wire has it, but for what was left out and what files hold."""
    words = [name]
    for field in msgspec.structs.fields(request):
        value = getattr(request, field.name)
        if value != field.default:
            shown = "(file)" if kind_of(field.type) is Kind.FILE else repr(value)
            words.append(f"{field.name}={shown}")
    return " ".join(words)
