"""Titles, as wide and as narrow as they come."""

from lairchat.client import inputs as i
from tests.client.scenes import attic, connected


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
