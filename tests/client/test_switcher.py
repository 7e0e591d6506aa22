"""The quick switcher finds by letters in order, good places first."""

import pytest

from lairchat.client.dialogs import Switcher
from lairchat.client.switcher import matches, score
from tests.client.scenes import Person, attic, in_lobby


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("op", "#ops", "#shop"),
        ("at", "#attic", "#chat"),
        ("tor", "#tor", "#tor-users"),
        ("tu", "#tor-users", "#status"),
        ("a", "@a", "@ba"),
    ],
)
def test_better_places_come_first(query: str, better: str, worse: str) -> None:
    good, bad = score(query, better), score(query, worse)
    assert good is not None
    assert bad is not None
    assert good < bad


def test_letters_must_all_be_there_in_order() -> None:
    assert score("sto", "#ops") is None
    assert score("", "#ops") == 4


def test_an_empty_query_lists_the_rooms_as_the_list_does() -> None:
    person = attic()
    labels = [match.label for match in matches(person.state, " ")]
    assert labels[:3] == ["@bob", "#ops", "#attic"]


def opened(query: str, person: Person | None = None) -> Person:
    person = person or attic()
    person.key("ctrl-t")
    person.types(query)
    return person


def test_enter_goes_to_a_room() -> None:
    person = opened("rand")
    person.key("enter")
    assert person.room.title == "#random"
    assert person.state.dialog is None


def test_a_person_becomes_a_message_to_finish() -> None:
    person = opened("dave")
    person.key("enter")
    assert person.input == "/msg dave "


def test_a_command_is_put_into_the_input_and_the_draft_into_the_history() -> None:
    person = attic()
    person.types("draft")
    opened("/statu", person)
    person.key("enter")
    assert person.input == "/status "
    assert person.state.history.entries[-1] == "draft"


def test_choosing_with_keys_goes_round() -> None:
    person = opened("o")
    count = len(matches(person.state, "o"))
    dialog = person.state.dialog
    assert isinstance(dialog, Switcher)
    person.key("up")
    assert dialog.chosen == count - 1
    person.key("down", "down", "tab", "ctrl-t")
    assert dialog.chosen == 3
    person.key("backspace")
    assert dialog.editor.text == ""
    assert dialog.chosen == 0


def test_nothing_found_says_so() -> None:
    person = opened("zzzz")
    assert "nothing is called like that" in person.screen()
    person.key("up", "down")
    person.key("enter")
    assert person.state.dialog is None
    assert "nothing is called" in person.note


def test_a_paste_is_a_query_in_one_line_and_other_keys_do_nothing() -> None:
    from lairchat.client.inputs import Paste

    person = attic()
    person.key("ctrl-t")
    person.link(Paste("ran\ndom"))
    dialog = person.state.dialog
    assert isinstance(dialog, Switcher)
    assert dialog.editor.text == "ran dom"
    person.key("pgup")
    person.key("esc")
    assert person.state.dialog is None


def test_a_long_list_scrolls() -> None:
    person = opened("/")
    for _ in range(14):
        person.key("down")
    dialog = person.state.dialog
    assert isinstance(dialog, Switcher)
    label = matches(person.state, "/")[dialog.chosen].label
    assert f"> {label}" in person.screen()
    assert in_lobby().state.dialog is None
