"""Queued and failed messages: resending, taking back, what a selection can do."""

import pytest

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.outbox import refusal
from lairchat.model.limits import MESSAGE_CHARS
from tests.client.scenes import NOON, Person, attic, in_lobby, said


def refused(text: str = "hello") -> Person:
    person = in_lobby()
    (sent,) = person.enter(text)
    person.link(i.SendRefused(sent.ticket, "LC-ROOM-POSTING", "only moderators may write"))
    person.did.clear()
    return person


def test_what_can_be_sent() -> None:
    assert refusal("x" * MESSAGE_CHARS) == ""
    assert "4,097" in refusal("x" * (MESSAGE_CHARS + 1))


@pytest.mark.parametrize("letter", ["x", "r"])
def test_a_failed_message_is_sent_again(letter: str) -> None:
    person = refused()
    person.key("ctrl-up")
    assert "12:00>you" in person.screen()
    ticket = person.state.outbox[0].ticket
    assert person.types(letter) == [e.Resend(ticket)]
    assert person.state.outbox[0].item.mark == ".."
    assert person.state.selected is None
    person.link(i.SendAcknowledged(ticket, 1, NOON))
    assert person.state.outbox == []


def test_a_failed_message_is_taken_back_into_the_input() -> None:
    person = refused()
    ticket = person.state.outbox[0].ticket
    person.types("another")
    person.key("alt-k")
    assert person.types("e") == [e.Discard(ticket)]
    assert person.input == "hello"
    assert person.state.history.entries[-1] == "another"
    assert person.state.outbox == []
    person.key("ctrl-k", "ctrl-u")
    dancing = refused("/me dances")
    dancing.key("ctrl-up")
    dancing.types("e")
    assert dancing.input == "/me dances"


@pytest.mark.parametrize("letter", ["x", "e"])
def test_only_failed_messages_are_sent_again_or_taken_back(letter: str) -> None:
    person = attic()
    person.key("ctrl-up")
    assert person.types(letter) == []
    assert ("marked x" if letter == "x" else "for encrypted rooms") in person.note
    queued = in_lobby()
    queued.enter("still going")
    queued.key("ctrl-up")
    assert queued.types(letter) == []
    assert "marked x" in queued.note


def test_copying_and_quoting() -> None:
    person = attic()
    person.key("ctrl-up", "ctrl-up")
    assert person.types("c") == [e.Copy("report.pdf is in the usual place")]
    person.link(i.MessageArrived(7, said(100, 7, "bob", "one\ntwo")))
    person.types("my answer")
    person.key("ctrl-up")
    person.types("y")
    assert person.input == "> one\n> two\nmy answer"
    assert person.state.selected is None


def test_other_letters_end_the_selection_and_are_typed() -> None:
    person = attic()
    person.key("ctrl-up")
    person.types("hello")
    assert person.state.selected is None
    assert person.input == "hello"


def test_a_selection_of_something_gone_copies_nothing() -> None:
    person = attic()
    for order in ((50, 0), (10_000, 0)):
        person.state.selected = order
        assert person.types("c") == []
    person.state.selected = (5, 0)
    person.types("y")
    assert person.input == ""
    empty = in_lobby()
    empty.state.selected = (5, 0)
    assert empty.types("c") == []


def test_acknowledging_the_selected_message_ends_the_selection_and_the_scroll_to_it() -> None:
    person = in_lobby()
    (sent,) = person.enter("hello")
    person.key("ctrl-up")
    person.room.scroll = (person.state.outbox[0].item.order, 0)
    person.link(i.SendAcknowledged(sent.ticket, 1, NOON))
    assert person.state.selected is None
    assert person.room.scroll is None
    assert person.types("x") == []
