"""A refusal fills its sentence safely, knows its code, and survives the way over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.model.refusal import REFUSALS, Refusal, describe_wait, received, sample_of
from lairchat.model.refusals import AuthDelay, NameBad, NameRefused, NameTaken, RoomUnknown
from lairchat.model.text import display_safe


def test_the_sentence_holds_the_values():
    refusal = NameBad(name="al", why="too short", field="$.name")
    assert refusal.text == 'the name "al" cannot be used: too short. Try one like: alice_2'
    assert refusal.field == "$.name"
    assert refusal.retry_after is None
    assert str(refusal) == f"LC-NAME-BAD  {refusal.text}"
    assert refusal.args == ("LC-NAME-BAD", refusal.text)


def test_values_are_made_safe_for_a_terminal():
    refusal = NameTaken(name="\x1b]0;pwn\x07\n{wait}")
    assert '"\ufffd]0;pwn\ufffd\ufffd{wait}"' in refusal.text


@given(st.text(max_size=300))
def test_no_value_breaks_the_sentence(value):
    text = NameTaken(name=value).text
    assert display_safe(text) == text
    assert len(text) <= len(NameTaken.text) + 80


def test_long_values_are_cut():
    assert f'"{"x" * 77}..."' in NameTaken(name="x" * 81).text
    assert f'"{"x" * 80}"' in NameTaken(name="x" * 80).text


@pytest.mark.parametrize("values", [{}, {"room": 1}, {"name": "a", "why": "b"}])
def test_values_that_the_text_does_not_name_are_a_misuse(values):
    with pytest.raises(TypeError, match=r"NameTaken takes \['name'\]"):
        NameTaken(**values)


def test_a_class_without_values_can_be_raised_as_it_is():
    with pytest.raises(RoomUnknown, match="LC-ROOM-UNKNOWN"):
        raise RoomUnknown


def test_a_group_catches_its_refusals_and_has_no_code():
    assert issubclass(NameBad, NameRefused)
    assert NameRefused.code == ""
    assert NameRefused not in REFUSALS.values()


def test_a_code_belongs_to_one_class():
    with pytest.raises(TypeError, match="LC-ROOM-UNKNOWN is both RoomUnknown and Again"):

        class Again(Refusal):
            code = "LC-ROOM-UNKNOWN"

    assert REFUSALS["LC-ROOM-UNKNOWN"] is RoomUnknown


def test_the_registry_cannot_be_changed_from_outside():
    with pytest.raises(TypeError):
        REFUSALS["LC-NEW"] = RoomUnknown


def test_samples_cannot_be_changed():
    with pytest.raises(TypeError):
        sample_of(name="alice")["name"] = "bob"


def test_the_waiting_time_is_part_of_the_sentence():
    refusal = AuthDelay(retry_after=90.2)
    assert refusal.retry_after == 90.2
    assert "Try again in 91 s;" in refusal.text
    assert "Try again in a moment;" in AuthDelay().text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "a moment"),
        (0, "a moment"),
        (-3, "a moment"),
        (0.01, "0.1 s"),
        (1.5, "1.5 s"),
        (9.94, "9.9 s"),
        (9.99, "10.0 s"),
        (10, "10 s"),
        (10.1, "11 s"),
        (119.5, "120 s"),
        (120, "2 min"),
        (121, "3 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (7_201, "3 h"),
    ],
)
def test_waiting_times_are_told_in_words(seconds, words):
    assert describe_wait(seconds) == words


def test_a_known_code_from_the_wire_becomes_its_class_with_their_sentence():
    refusal = received("LC-NAME-TAKEN", "their words", field="$.name", retry_after=2.0)
    assert type(refusal) is NameTaken
    assert refusal.code == "LC-NAME-TAKEN"
    assert refusal.text == "their words"
    assert (refusal.field, refusal.retry_after) == ("$.name", 2.0)
    assert str(refusal) == "LC-NAME-TAKEN  their words"


def test_an_unknown_code_from_the_wire_is_still_a_refusal():
    refusal = received("LC-NEWER", "of a later version")
    assert type(refusal) is Refusal
    assert (refusal.code, refusal.text) == ("LC-NEWER", "of a later version")
    assert refusal.field is None
    assert Refusal.code == ""


@given(st.text(max_size=1_000), st.text(max_size=1_000), st.text(max_size=200))
def test_a_hostile_server_cannot_write_on_the_terminal(code, text, field):
    refusal = received(code, text, field=field)
    for shown in (refusal.code, refusal.text, refusal.field):
        assert display_safe(shown) == shown
        assert len(shown) <= 400
