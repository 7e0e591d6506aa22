"""The log of what operators do: one event for every command, whatever door it came through.

A structured line now, in the namespace ``lairchat.audit``, which no level of the log silences.
"""

from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger

from lairchat.model import limits
from lairchat.model.text import display_clip

__all__ = ["NAMESPACE", "Audit", "Entry", "write"]

NAMESPACE = "lairchat.audit"
_LINE_CHARS = 3 * limits.VALUE_CHARS
_log = Logger(NAMESPACE)


class Entry(NamedTuple):
    """One command.

    who: account, or ``local:UID``.  source: the door, and the address if it has one.
    line: the command without secrets; of what was not understood only the part that was.
    status: as the door reports it.  code: of the refusal, or "".
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
