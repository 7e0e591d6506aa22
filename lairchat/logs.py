"""Writes log events as lines: for people, or one JSON object each, safe for the terminal.

What a peer sent may be part of an event (a name, an error); it must not move the cursor of the
operator who reads the log, nor forge a line of it.
"""

import json
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, eventAsText, formatEvent
from zope.interface import implementer

from lairchat.model.text import display_safe


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
