"""Log lines: readable, searchable, and harmless to the terminal that shows them."""

import io
import json
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from lairchat.logs import json_observer, text_observer

HOSTILE = "evil\x1b[2J\nforged line\u202e"


def written(
    make: Any, level: LogLevel = LogLevel.info, text: str = "{who} came", **values: Any
) -> str:
    file = io.StringIO()
    Logger("lairchat.test", observer=make(file)).emit(level, text, **values)
    return file.getvalue()


def test_a_line_has_time_level_and_message() -> None:
    line = written(text_observer, who="user 7")
    assert line.endswith(" info  user 7 came\n")
    assert line[:4].isdigit()


def test_nothing_that_was_sent_moves_the_cursor_or_forges_a_line() -> None:
    text = written(text_observer, who=HOSTILE)
    assert "\x1b" not in text
    assert "\u202e" not in text
    first, *rest = text.splitlines()
    assert first.endswith("evil\ufffd[2J") or "evil" in first
    assert all(line.startswith("    ") for line in rest)
    record = json.loads(written(json_observer, who=HOSTILE))
    assert "\x1b" not in record["message"]
    assert "\n" not in record["message"]


def test_json_carries_the_fields_that_the_message_names_and_no_others() -> None:
    record = json.loads(written(json_observer, who="user 7", secret="hidden", count=3))
    assert record["who"] == "user 7"
    assert record["level"] == "info"
    assert record["system"] == "lairchat.test"
    assert "secret" not in record
    assert "count" not in record
    record = json.loads(written(json_observer, LogLevel.warn, "{count} left", count=3))
    assert (record["count"], record["level"]) == (3, "warn")


def failure() -> Failure:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        return Failure()


def test_a_traceback_stays_below_its_line() -> None:
    file = io.StringIO()
    Logger("t", observer=text_observer(file)).failure("it broke", failure())
    first, *rest = file.getvalue().splitlines()
    assert first.endswith("critical it broke")
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in file.getvalue()
    file = io.StringIO()
    Logger("t", observer=json_observer(file)).failure("it broke", failure())
    record = json.loads(file.getvalue())
    assert any("ValueError" in line for line in record["traceback"])
    assert "\x1b" not in "".join(record["traceback"])


def test_an_event_without_a_message_is_no_line() -> None:
    assert written(text_observer, text="") == ""
    assert written(json_observer, text="") == ""
