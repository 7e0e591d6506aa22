"""Editing, deleting and reacting, by commands and by letters."""

import pytest

from lairchat.client import effects as e
from lairchat.client import effects_sealed as es
from lairchat.client import inputs as i
from lairchat.client import inputs_sealed as s
from lairchat.client.verbs_messages import reaction_in, seconds_in
from tests.client.scenes import NOON, Person, attic, said, secret


def mine(width: int = 80, height: int = 24) -> Person:
    """Return an encrypted room whose newest message is ours, selected."""
    person = secret(width, height)
    person.key("ctrl-up")
    return person


# -- editing -----------------------------------------------------------------------------------------


def test_e_puts_our_message_into_the_input_and_enter_changes_it() -> None:
    person = mine()
    person.types("e")
    assert person.input == "on it"
    assert "Enter changes your message" in person.screen()
    person.types(" now")
    (change, *_) = person.key("enter")
    assert isinstance(change, es.Change)
    assert (change.room, change.seq, change.text) == (7, 99, "on it now")
    assert person.input == ""
    person.enter("next")
    assert person.sent() == ["next"]


def test_esc_leaves_it_as_it_was() -> None:
    person = mine()
    person.types("e")
    person.types(" now")
    person.key("esc")
    assert person.input == ""
    person.key("up")
    assert person.input == "on it now"
    person.enter("")
    assert person.sent() == ["on it now"]  # the history is text, not the change of a message


def test_an_emptied_edit_is_none() -> None:
    person = mine()
    person.types("e")
    person.key("ctrl-u", "enter")
    person.enter("fresh")
    assert person.sent() == ["fresh"]


def test_a_draft_makes_room_and_is_kept() -> None:
    person = secret()
    person.types("a draft")
    person.key("ctrl-up")
    person.types("e")
    assert person.input == "on it"
    assert "a draft" in person.state.history.entries


def test_a_refused_change_comes_back_as_the_command_that_does_it() -> None:
    person = mine()
    person.types("e")
    person.types("!")
    change = person.key("enter")[0]
    assert isinstance(change, es.Change)
    person.link(i.CommandFailed(change.ref, "LC-X", "too late"))
    assert person.input == "/edit #99 on it!"
    again = person.key("enter")[0]
    assert isinstance(again, es.Change)
    assert again.text == "on it!"


def test_a_message_that_begins_with_a_slash_is_edited_as_text() -> None:
    person = secret()
    person.link(i.MessageArrived(7, said(100, 7, "you", "/etc is full")))
    person.key("ctrl-up")
    person.types("e")
    assert person.input == "//etc is full"
    change = person.key("enter")[0]
    assert isinstance(change, es.Change)
    assert change.text == "/etc is full"


def test_a_command_typed_over_it_runs_and_is_no_edit() -> None:
    person = mine()
    person.types("e")
    person.key("ctrl-u")
    person.enter("/me waves")
    assert isinstance(person.last(e.Send), e.Send)
    assert not any(isinstance(one, es.Change) for one in person.did)


def test_only_ones_own_messages_are_edited() -> None:
    person = secret()
    person.key("ctrl-up", "ctrl-up")
    assert person.types("e") == []
    assert "author" in person.note
    assert person.input == ""


def test_secrets_are_held_in_an_edit_too() -> None:
    person = secret()
    person.state.trace_key = b"k" * 32
    person.link(s.RecoveryWords(tuple("abcdefghijkl")))
    person.wait()
    person.key("enter")
    person.types("y")
    person.wait()
    person.key("ctrl-up")
    person.types("e")
    person.link(i.Paste(" c d e f"))
    assert not any(isinstance(one, es.Change) for one in person.key("enter"))
    assert any(isinstance(one, es.Change) for one in person.types("y"))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("/edit #98", "new text is missing"),
        ("/edit #5 x", "no message #5"),
        ("/edit five x", "no message five"),
        ("/edit #99 " + "x" * 5_000, "characters"),
    ],
)
def test_what_cannot_be_edited_stays_with_the_reason(typed: str, why: str) -> None:
    person = secret()
    assert not any(isinstance(one, es.Change) for one in person.enter(typed))
    assert why in person.note
    assert person.input == typed


def test_offline_nothing_is_edited_and_the_text_stays() -> None:
    person = mine()
    person.types("e")
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    person.key("enter")
    assert person.input == "on it"
    assert "not connected" in person.note


# -- deleting ----------------------------------------------------------------------------------------


def test_d_deletes_after_a_question() -> None:
    person = mine()
    assert person.types("d") == []
    (gone,) = person.types("y")
    assert isinstance(gone, es.TakeBack)
    assert (gone.room, gone.seq) == (7, 99)


def test_moderators_delete_what_others_said() -> None:
    person = secret()
    person.enter("/delete #98")
    assert "moderators" in person.note
    person.key("ctrl-u")
    person.link(i.RoomChanged(7, role="moderator"))
    person.enter("/delete #98")
    assert "carol's message" in person.screen()
    (gone,) = person.types("y")
    assert isinstance(gone, es.TakeBack)
    assert gone.seq == 98


# -- reacting ----------------------------------------------------------------------------------------


def test_plus_begins_a_reaction() -> None:
    person = mine()
    person.types("+")
    assert person.input == "/react +1 #99"
    react = person.key("enter")[0]
    assert isinstance(react, es.React)
    assert (react.room, react.seq, react.emoji, react.on) == (7, 99, "+1", True)


def test_plus_leaves_a_draft_alone() -> None:
    person = secret()
    person.types("a draft")
    person.key("ctrl-up")
    person.types("+")
    assert person.input == "a draft"


def test_the_same_reaction_again_takes_it_back() -> None:
    (react,) = (one for one in secret().enter("/react +1 #90") if isinstance(one, es.React))
    assert not react.on


@pytest.mark.parametrize("typed", ["+:tada:", "+\U0001f389", "+:+1:"])
def test_a_reaction_as_a_line_is_for_the_last_message(typed: str) -> None:
    person = secret()
    person.link(s.MessageChanged(7, i.Message(99, NOON, "you", "on it")))
    (react,) = (one for one in person.enter(typed) if isinstance(one, es.React))
    assert (react.seq, react.emoji) == (99, typed[1:])
    assert person.input == ""


@pytest.mark.parametrize("typed", ["+1", "+ 3 more", "+:no tada:", "+::", "+" + ":x" * 20, "+a"])
def test_text_that_begins_with_a_plus_is_text(typed: str) -> None:
    assert reaction_in(typed) == ""
    person = secret()
    person.enter(typed)
    assert person.sent() == [typed]


def test_a_reaction_is_short_and_needs_a_message() -> None:
    person = secret()
    person.enter("/react " + "x" * 17)
    assert "at most" in person.note
    person.key("ctrl-u")
    person.link(s.MessagesGone(7, tuple(range(90, 100))))
    person.enter("/react +1")
    assert "no message here" in person.note


def test_no_reaction_goes_into_a_held_room() -> None:
    person = secret()
    person.link(i.RoomChanged(7, label="E2E!", hold="held."))
    assert not any(isinstance(one, es.React) for one in person.enter("/react +1"))
    assert person.note == "held."


@pytest.mark.parametrize("letter", ["e", "d", "+"])
def test_letters_do_nothing_to_what_is_no_message_of_everybody(letter: str) -> None:
    plain = attic()
    plain.key("ctrl-up")
    assert plain.types(letter) == []
    assert "for encrypted rooms" in plain.note
    queued = secret()
    queued.enter("still going")
    queued.key("ctrl-up")
    assert queued.types(letter) == []
    assert queued.note


def test_an_edit_that_was_held_and_fails_says_why() -> None:
    person = secret()
    person.key("ctrl-up")
    person.types("e")
    person.key("home")
    person.types(" /")
    person.link(i.Disconnected("LC-NET-LOST", "lost", 1.0))
    person.key("enter")
    person.types("y")
    assert "not connected" in person.note
    assert person.input == " /on it"


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        ("off", 0),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3_600),
        ("7d", 604_800),
        ("52w", 31_449_600),
        ("366d", None),
        ("0s", None),
        ("h", None),
        ("", None),
        ("1y", None),
        ("-1h", None),
        ("1.5h", None),
        ("\N{ARABIC-INDIC DIGIT ONE}h", None),
        ("9999999s", None),
    ],
)
def test_how_long_a_message_stays(word: str, seconds: int | None) -> None:
    assert seconds_in(word) == seconds


def test_a_timer_is_for_encrypted_rooms_and_says_what_it_means() -> None:
    person = secret()
    (wanted,) = [one for one in person.enter("/timer 1h") if isinstance(one, es.SetTimer)]
    assert (wanted.room, wanted.seconds) == (7, 3_600)
    assert "1h after it was read" in person.note
    (wanted,) = [one for one in person.enter("/timer off") if isinstance(one, es.SetTimer)]
    assert wanted.seconds == 0
    assert "stays" in person.note
    assert not any(isinstance(one, es.SetTimer) for one in person.enter("/timer soon"))
    assert "no time" in person.note
    assert not any(isinstance(one, es.SetTimer) for one in attic().enter("/timer 1h"))
