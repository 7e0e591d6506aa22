"""Tables for people: members by rank, rooms by name, labels in words."""

from lairchat.client import inputs as i
from lairchat.client.wording import (
    IN_TITLE,
    LABELS,
    by_rank,
    label_words,
    member_lines,
    room_lines,
    title_words,
)
from tests.client.scenes import attic


def test_members_are_listed_by_rank_then_presence_then_name() -> None:
    person = attic()
    assert [one.name for one in by_rank(person.room)] == ["you", "alice", "bob", "carol", "dave"]
    assert member_lines(person.room).split("\n")[1] == "&you                  owner     here"


def test_one_member_is_no_plural() -> None:
    person = attic()
    person.link(i.MembersListed(7, (i.Member("bob"),)))
    assert member_lines(person.room).startswith("#attic: 1 member, 0 here")


def test_rooms_are_listed_by_name_with_those_one_is_in_marked() -> None:
    lines = room_lines((i.RoomListing("tor", "onions", 3), i.RoomListing("ops", "", 12, True)))
    assert lines[0] == "> #ops                      12"
    assert lines[1] == "  #tor                       3  onions"


def test_every_label_has_words_for_both_places() -> None:
    assert set(LABELS) == set(IN_TITLE)
    assert label_words("PLAIN") == "the server can read this room"
    assert label_words("?") == ""
    room = attic().room
    assert title_words(room) == "not encrypted"
    room.label = "?"
    assert title_words(room) == ""
