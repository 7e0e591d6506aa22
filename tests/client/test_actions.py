"""What keys do when no dialog is open."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Question
from tests.client.scenes import Person, attic, connected, in_lobby


def test_the_next_unread_room_is_the_one_that_calls() -> None:
    person = attic()
    person.key("alt-a")
    assert person.room.title == "@bob"
    person.link(i.HistoryPage(5, (), older=False, replace=True))
    person.key("alt-a")
    assert person.room.title == "#ops"
    person.link(i.HistoryPage(3, (), older=False, replace=True))
    person.key("alt-a")
    assert person.room.title == "#random"
    person.link(i.HistoryPage(2, (), older=False, replace=True))
    person.key("alt-a")
    assert person.room.title == "#ops"  # nothing unread: back to where one came from
    lonely = in_lobby()
    lonely.key("alt-a")
    assert "nothing unread" in lonely.note


def test_rooms_by_place_and_step() -> None:
    person = attic()
    for key, title in (
        ("alt-1", "@bob"),
        ("alt-2", "#ops"),
        ("alt-7", "@carol"),
        ("alt-9", "@carol"),
        ("alt-0", "@carol"),
    ):
        person.key(key)
        assert person.room.title == title
    person.key("ctrl-n")
    first = person.room.title
    person.key("ctrl-p")
    assert person.room.title == "@carol"
    person.key("alt-right")
    assert person.room.title == first
    person.key("alt-left")
    assert connected().key("ctrl-n", "alt-1") == []


def test_drafts_stay_in_their_rooms() -> None:
    person = attic()
    person.types("for the attic")
    person.key("ctrl-n")
    assert person.input == ""
    person.types("for the next")
    person.key("ctrl-p")
    assert person.input == "for the attic"


def test_ctrl_c_takes_back_one_thing_after_the_other() -> None:
    person = attic()
    person.types("draft")
    person.key("ctrl-up")
    person.key("ctrl-c")
    assert person.state.selected is None
    assert person.input == "draft"
    person.key("ctrl-c")
    assert person.input == ""
    assert person.state.history.entries[-1] == "draft"
    person.key("ctrl-c")
    assert isinstance(person.state.dialog, Question)
    person.key("enter")
    assert "Everything is as it was" in person.note
    person.key("ctrl-c")
    assert person.types("y") == [e.Quit()]


def test_up_recalls_what_was_typed_and_moves_in_a_draft() -> None:
    person = in_lobby()
    person.enter("first")
    person.enter("second")
    person.key("up", "up")
    assert person.input == "first"
    person.key("down")
    assert person.input == "second"
    person.key("down")
    person.types("a")
    person.key("ctrl-j")
    person.types("b")
    person.key("up")
    assert person.room.editor.at == 1
    person.key("down")
    assert person.room.editor.at == 3


def test_effects_of_keys() -> None:
    person = attic()
    assert person.key("ctrl-l") == [e.Repaint()]
    assert person.key("ctrl-z") == [e.Suspend()]


def test_esc_closes_what_is_open() -> None:
    person: Person = attic()
    person.key("alt-n", "esc")
    assert not person.state.over_members
    person.link(i.Notice("hm"))
    person.key("esc")
    assert person.note == ""


def test_members_need_a_room_and_are_fetched() -> None:
    person = attic(80, 24)
    assert person.key("alt-n") == [e.ListMembers(0, 7)]
    assert person.key("alt-n") == []
    assert connected().key("alt-n") == []
    wide = attic(120, 40)
    assert wide.key("alt-n") == []
    assert wide.key("alt-n") == [e.ListMembers(0, 7)]


@pytest.mark.parametrize(
    "key",
    [
        "ctrl-a",
        "ctrl-e",
        "ctrl-b",
        "ctrl-f",
        "alt-b",
        "alt-f",
        "ctrl-w",
        "alt-d",
        "ctrl-k",
        "ctrl-y",
        "alt-y",
        "ctrl-d",
        "delete",
        "alt-backspace",
    ],
)
def test_editing_keys_edit(key: str) -> None:
    person = in_lobby()
    person.types("some words here")
    person.key("ctrl-a", "alt-f")
    before = (person.input, person.room.editor.at)
    person.key(key)
    moved = (person.input, person.room.editor.at) != before
    assert moved or key in {"ctrl-y", "alt-y"}
