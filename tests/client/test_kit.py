"""What all commands use: notes, the order of rooms, names of people and rooms."""

import pytest

from lairchat.client import inputs as i
from lairchat.client.kit import (
    CommandError,
    find_room,
    in_order,
    need_online,
    need_room,
    people,
    safe,
    say,
)
from tests.client.scenes import attic, connected, in_lobby


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("#ops", "#ops"),
        ("OPS", "#ops"),
        ("@bob", "@bob"),
        ("bob", "@bob"),
        ("#bob", None),
        ("@ops", None),
        ("nothing", None),
    ],
)
def test_a_room_is_found_by_name(word: str, title: str | None) -> None:
    found = find_room(attic().state, word)
    assert (found.title if found else None) == title


def test_a_room_goes_before_a_person_of_the_same_name() -> None:
    person = in_lobby()
    person.link(i.RoomsSynced((i.RoomInfo(1, "bob", direct=True), i.RoomInfo(2, "bob"))))
    found = [find_room(person.state, word) for word in ("bob", "@bob", "#bob")]
    assert [room.id if room else 0 for room in found] == [2, 1, 2]


def test_the_list_puts_first_what_is_meant_for_the_user() -> None:
    titles = [room.title for room in in_order(attic().state)]
    assert titles == ["@bob", "#ops", "#attic", "#random", "#tor", "@alice", "@carol"]


def test_people_are_everybody_but_us() -> None:
    assert people(attic().state) == ["alice", "bob", "carol", "dave"]
    assert people(connected().state) == []


def test_what_a_command_needs() -> None:
    person = connected()
    need_online(person.state)
    with pytest.raises(CommandError, match="no room is open"):
        need_room(person.state)
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    with pytest.raises(CommandError, match="not connected"):
        need_online(person.state)


def test_texts_are_made_safe() -> None:
    assert safe("plain") == "plain"
    assert "\x1b" not in safe("\x1b[31m")
    assert safe("two\nlines", multiline=True) == "two\nlines"
    assert "\n" not in safe("two\nlines")


def test_a_note_stands_behind_what_was_there() -> None:
    person = attic()
    say(person.state, "between")
    person.link(i.MessageArrived(7, i.Message(100, 0, "bob", "after")))
    assert [item.text for item in person.room.window.items][-2:] == ["between", "after"]
