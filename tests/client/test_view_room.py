"""Titles, as wide and as narrow as they come."""

import pytest

from lairchat.client import inputs as i
from tests.client.scenes import Person, attic, connected


def test_a_room_without_a_topic_or_members() -> None:
    person = connected()
    person.link(i.RoomsSynced((i.RoomInfo(1, "x"),)))
    assert person.screen().split("\n")[0].startswith(" #x ")
    assert "members" not in person.screen()


def test_narrow_titles_count_what_waits() -> None:
    person = attic(40, 12)
    assert "1@ (alt-a)" in person.screen().split("\n")[0]
    person.link(i.UnreadChanged(3, 2, 0))
    assert "+3 (alt-a)" in person.screen().split("\n")[0]


def put_away(width: int = 80, height: int = 24) -> Person:
    person = attic(width, height)
    person.link(i.RoomChanged(7, archived=True), i.RoomChanged(4, archived=True))
    return person


@pytest.mark.parametrize(
    ("width", "height", "title", "prompt"),
    [
        (40, 12, "#attic archived 14  1@ (alt-a)", "[archived]"),
        (80, 24, "| 14 members, 6 here | PLAIN archived", "[#attic archived]"),
        (120, 40, "| 14 members, 6 here | PLAIN archived", "[#attic archived]"),
    ],
)
def test_an_archived_room_says_so_in_title_and_input(
    width: int, height: int, title: str, prompt: str
) -> None:
    person = put_away(width, height)
    screen = person.screen()
    assert title in screen.split("\n")[0]
    assert f"\n{prompt}" in screen
    person.link(i.RoomChanged(7, archived=False))
    assert "archived" not in person.screen()


def test_a_title_without_room_for_all_words_still_says_archived() -> None:
    person = put_away(70, 24)
    person.link(i.RoomChanged(7, name="a-name-that-needs-most-of-the-title-line"))
    assert "| archived" in person.screen().split("\n")[0]


def test_archived_rooms_stand_under_a_heading_of_their_own() -> None:
    """Also one with something unread: nothing can be answered there."""
    person = put_away()
    person.link(i.UnreadChanged(4, 3, 1))
    rows = [line[:15].rstrip() for line in person.screen().split("\n")]
    at = rows.index("Archived")
    assert rows[at + 1 : at + 3] == ["* #tor    3 @1", "> #attic PLAIN"]
    assert "  #random   12" in rows[:at]
    assert "\nARCHIVED" in put_away(120, 40).screen()
