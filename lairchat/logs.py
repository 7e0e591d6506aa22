"""Writes log events as lines: for people, or one JSON object each, safe for the terminal.

What a peer sent may be part of an event (a name, an error); it must not move the cursor of the
operator who reads the log, nor forge a line of it.
"""

import json
import re
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    InvalidLogLevelError,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    eventAsText,
    formatEvent,
)
from zope.interface import implementer

from lairchat.model.text import display_clip, display_safe

LINE_CHARS = 240
"""characters: how much of an event is remembered."""


def _text(event: LogEvent) -> str | None:
    text = eventAsText(event, includeSystem=False)
    if not text:
        return None
    level = event.get("log_level")
    name = level.name if level is not None else "info"
    first, *rest = text.splitlines()
    stamp, _, message = first.partition(" ")
    safe = [f"{stamp} {name:<5} {display_safe(message)}"]
    safe += [f"    {display_safe(line)}" for line in rest]
    return "\n".join(safe) + "\n"


def _json(event: LogEvent) -> str | None:
    message = formatEvent(event)
    if not message:
        return None
    level = event.get("log_level")
    record: dict[str, Any] = {
        "time": event.get("log_time"),
        "level": level.name if level is not None else "info",
        "system": event.get("log_namespace", ""),
        "message": display_safe(message),
    }
    failure = event.get("log_failure")
    if failure is not None:
        record["traceback"] = [display_safe(line) for line in failure.getTraceback().splitlines()]
    for key, value in event.items():
        # Fields that the message names, so that they can be searched for; nothing else leaks in.
        if not key.startswith("log_") and f"{{{key}" in str(event.get("log_format", "")):
            record.setdefault(
                key, value if isinstance(value, int | float) else display_safe(str(value))
            )
    return json.dumps(record, ensure_ascii=True) + "\n"


@implementer(ILogObserver)
class _Lines(FileLogObserver):
    """A file observer that writes to a file whatever its encoding."""


def text_observer(file: Any) -> ILogObserver:
    """Return an observer that writes one line an event, tracebacks indented below."""
    return _Lines(file, _text)


def json_observer(file: Any) -> ILogObserver:
    """Return an observer that writes one JSON object an event."""
    return _Lines(file, _json)


class Remembered(NamedTuple):
    """One event that was logged. at: ms since 1970. number: from 1, rising by one."""

    at: int
    level: str
    text: str
    number: int


class Logbook:
    """Decides what is logged, from a level on that can be changed, and remembers the last lines.

    write: writes the log; None where twistd was told to log elsewhere, and this only remembers.
    observer: what gets all events.
    """

    def __init__(self, write: ILogObserver | None, level: str, *, kept: int = 1_000) -> None:
        self.elsewhere = write is None
        self._lines: deque[Remembered] = deque(maxlen=kept)
        self._number = 0
        self._predicate = LogLevelFilterPredicate()
        self.set_level(level)
        # What Twisted says of its own doings is noise beside the first-start page.
        for namespace in ("twisted", "-"):
            self._predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
        # No level silences what operators did.
        self._predicate.setLogLevelForNamespace("lairchat.audit", LogLevel.info)
        observers = [self._remember] if write is None else [write, self._remember]
        self.observer = FilteringLogObserver(LogPublisher(*observers), [self._predicate])

    def set_level(self, level: str) -> None:
        """Choose the least that is logged from now on."""
        self.level = level
        self._predicate.setLogLevelForNamespace("", LogLevel.levelWithName(level))

    def lines(self, *, after: int, count: int, level: str) -> list[Remembered]:
        """Return lines of at least a level, oldest first.

        after: the first ones after the line of this number; 0: the last ones there are.
        """
        least = LogLevel.levelWithName(level)
        found = [
            line
            for line in self._lines
            if line.number > after and LogLevel.levelWithName(line.level) >= least
        ]
        return found[:count] if after else found[-count:]

    def _remember(self, event: LogEvent) -> None:
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}: {failure.type.__name__}"
        if not text:
            return
        level = event.get("log_level") or LogLevel.info
        self._number += 1
        at = round(event.get("log_time", 0.0) * 1000)
        self._lines.append(Remembered(at, level.name, display_clip(text, LINE_CHARS), self._number))


_TEXT_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\S+) (debug|info|warn|error|critical) +(.*)")


def read_tail(path: Path, *, count: int, level: str) -> list[Remembered]:
    """Return the last lines of a log file, of at least a level; of tracebacks only the head."""
    if not path.is_file():
        return []
    least = LogLevel.levelWithName(level)
    kept: deque[Remembered] = deque(maxlen=count)
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            found = _read_line(line, number)
            if found is not None and LogLevel.levelWithName(found.level) >= least:
                kept.append(found)
    return list(kept)


def _read_line(line: str, number: int) -> Remembered | None:
    if found := _TEXT_LINE.match(line):
        at = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S%z").timestamp()
        return Remembered(round(at * 1000), found[2], display_clip(found[3], LINE_CHARS), number)
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
        at, level = round(float(record["time"]) * 1000), LogLevel.levelWithName(record["level"])
        return Remembered(at, level.name, display_clip(record["message"], LINE_CHARS), number)
    except (ValueError, KeyError, TypeError, InvalidLogLevelError):
        return None  # a line that was cut off when the disk was full, for instance
