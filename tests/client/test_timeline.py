"""Rows of messages: columns, marks, days, the unread line."""

import pytest

from lairchat.client import inputs as i
from lairchat.client.layout import Style
from lairchat.client.timeline import Timeline, visible
from tests.client.scenes import NOON, Person, in_lobby, said

WIDE = Style(64, 6, narrow=False)
NARROW = Style(40, 6, narrow=True)


def rows(person: Person, style: Style = WIDE) -> list[str]:
    timeline = Timeline(person.state, person.room)
    lines = []
    for _, _, row in visible(timeline, style, 50):
        line = [" "] * (style.width + 4)
        for dx, text, _ in row:
            line[dx : dx + len(text)] = text
        lines.append("".join(line).rstrip())
    return lines


def with_messages(*messages: i.Message) -> Person:
    person = in_lobby()
    person.link(i.HistoryPage(1, messages, older=False, replace=True))
    return person


def test_columns_as_in_the_picture() -> None:
    person = with_messages(
        said(1, -2, "alice", "deploy finished"),
        said(2, 3, "", "dave joined (device 2)", "state"),
        said(3, 5, "alice", "@you please approve"),
        said(4, 6, "carol", "waves", "action"),
    )
    assert rows(person) == [
        "-" * 23 + " Sun 22 Nov 2026 " + "-" * 24,
        "11:58 alice  deploy finished",
        "12:03   --   dave joined (device 2)",
        "12:05 alice> @you please approve",
        "12:06   *    carol waves",
    ]
    assert rows(person, NARROW) == [
        "11:58 alice  deploy finished",
        "12:03 --  dave joined (device 2)",
        "12:05 alice> @you please approve",
        "12:06 *  carol waves",
    ]


def test_long_names_are_cut_visibly() -> None:
    person = with_messages(said(1, 0, "a-very-long-name-indeed", "hi"))
    assert rows(person, Style(64, 12, narrow=False))[-1] == "12:00 a-very-long~ hi"
    assert rows(person, NARROW)[-1] == "12:00 a-very-long~  hi"


def test_a_new_day_is_a_rule_only_where_the_day_changes() -> None:
    person = with_messages(
        said(1, 0, "a", "one"), said(2, 1, "a", "two"), said(3, 12 * 60, "a", "three")
    )
    assert sum("2026" in row for row in rows(person)) == 2
    assert sum("2026" in row for row in rows(person, NARROW)) == 0


def test_the_unread_line_says_how_many() -> None:
    person = with_messages(said(1, 0, "bob", "one"), said(2, 1, "bob", "two"))
    room = person.room
    room.line, room.line_count = 1, 1
    assert "= 1 new message =" in rows(person)[2]
    room.line_count = 0
    assert " new messages " in rows(person)[2]
    assert rows(person, NARROW)[1] == "==== new ===="
    room.line_count = 3
    assert rows(person, NARROW)[1] == "==== 3 new ===="
    room.line = 0
    assert "new" in rows(person)[1]


@pytest.mark.parametrize(("mark", "column"), [("..", 60), ("v", 60), ("x", 60)])
def test_marks_stand_at_the_right(mark: str, column: int) -> None:
    person = in_lobby()
    person.enter("a message of ours")
    item = person.state.outbox[0].item
    item.mark, item.memo = mark, None
    row = rows(person)[-1]
    assert row[column:] == mark


def test_our_lines_leave_room_for_the_mark_and_others_do_not() -> None:
    text = "x" * 51
    person = with_messages(said(1, 0, "bob", text), said(2, 0, "you", text))
    lines = rows(person)
    assert lines[1] == "12:00 bob    " + text
    assert lines[2].split() == ["12:00", "you", "x" * 46, "v"]


def test_rows_are_kept_until_the_width_changes() -> None:
    person = with_messages(said(1, 0, "bob", "hello there"))
    timeline = Timeline(person.state, person.room)
    first = timeline.block(0, WIDE)
    assert timeline.block(0, WIDE)[-1] is first[-1]
    assert timeline.block(0, Style(20, 6, narrow=False))[-1] is not first[-1]


def test_an_anchor_that_is_gone_falls_back() -> None:
    person = with_messages(said(1, 0, "bob", "one"), said(3, 1, "bob", "three"))
    person.room.scroll = ((2, 0), 5)
    timeline = Timeline(person.state, person.room)
    assert timeline.anchor() == (1, None)
    person.room.scroll = ((9, 0), 0)
    assert Timeline(person.state, person.room).anchor() == (1, None)
    person.room.scroll = ((3, 0), 0)
    assert Timeline(person.state, person.room).anchor() == (1, 0)


def test_a_note_before_any_tick_has_no_day() -> None:
    from lairchat.client.kit import say

    person = Person()
    person.state.now = 0
    say(person.state, "early")
    assert "1970" not in person.screen()


def test_errors_and_notes_are_told_apart_from_messages() -> None:
    from lairchat.client.kit import say

    person = in_lobby()
    say(person.state, "a note")
    say(person.state, "an error", error=True)
    assert [row for row in rows(person) if "-!-" in row] == [
        "12:00  -!-   a note",
        "12:00  -!-   an error",
    ]
    assert person.state.now == NOON
