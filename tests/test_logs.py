"""Log lines: readable, searchable, and harmless to the terminal that shows them."""

import io
import json
from pathlib import Path
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from lairchat.logs import Logbook, json_observer, read_tail, text_observer

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


# -- the logbook -----------------------------------------------------------------------------------


def test_a_level_is_changed_while_it_is_written() -> None:
    file = io.StringIO()
    book = Logbook(text_observer(file), "warn", kept=3)
    log = Logger("lairchat.test", observer=book.observer)
    log.info("hidden")
    book.set_level("info")
    for number in range(5):
        log.info("line {number}", number=number)
    log.warn("{who}", who=HOSTILE)
    assert "hidden" not in file.getvalue()
    assert file.getvalue().count("line ") == 5
    lines = book.lines(after=0, count=9, level="debug")
    assert [line.number for line in lines] == [4, 5, 6]
    assert "\x1b" not in lines[-1].text
    assert [line.text for line in book.lines(after=0, count=1, level="info")] == [lines[-1].text]
    assert [line.number for line in book.lines(after=4, count=1, level="debug")] == [5]
    assert [line.number for line in book.lines(after=0, count=9, level="warn")] == [6]
    assert book.lines(after=6, count=9, level="debug") == []


def test_a_failure_is_remembered_by_its_name_and_twisted_is_kept_short() -> None:
    book = Logbook(None, "debug")
    assert book.elsewhere
    try:
        raise ValueError("no")
    except ValueError:
        Logger("lairchat.test", observer=book.observer).failure("it failed")
    Logger("twisted.internet", observer=book.observer).info("Port 7023 closed")
    Logger("lairchat.test", observer=book.observer).info("")
    assert [line.text for line in book.lines(after=0, count=9, level="debug")] == [
        "it failed: ValueError"
    ]


def test_the_tail_of_a_file_is_read_in_either_format(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert read_tail(path, count=9, level="debug") == []
    with path.open("w") as file:
        for make in (text_observer, json_observer):
            log = Logger("lairchat.test", observer=make(file))
            log.warn("{who} came", who="bob\x1b[2J")
            log.info("quiet")
        file.write("    a traceback\n{ not json\n[1]\n{}\n")
    found = read_tail(path, count=9, level="debug")
    assert [(line.level, line.number) for line in found] == [
        ("warn", 1),
        ("info", 2),
        ("warn", 3),
        ("info", 4),
    ]
    assert found[0].text == found[2].text
    assert abs(found[0].at - found[2].at) < 2_000
    assert [line.number for line in read_tail(path, count=1, level="warn")] == [3]
