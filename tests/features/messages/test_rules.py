"""What a message may be, and how events are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.features.messages import rules
from lairchat.model import limits
from lairchat.model.events import STORED, EventClass
from lairchat.model.refusals import TextBad, TextEmpty, TextLong


@given(st.text(min_size=1, max_size=50))
def test_any_text_is_a_message_unless_it_is_blank_or_holds_nul(text):
    if text.isspace():
        with pytest.raises(TextEmpty):
            rules.check_text(text)
    elif "\0" in text:
        with pytest.raises(TextBad):
            rules.check_text(text)
    else:
        rules.check_text(text)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", TextEmpty),
        (" \t\r\n\u00a0\u2003\u3000", TextEmpty),
        ("x" * (limits.MESSAGE_CHARS + 1), TextLong),
        (" " * (limits.MESSAGE_CHARS + 1), TextLong),
        ("a\0b", TextBad),
    ],
)
def test_texts_that_are_no_messages(text, refusal):
    with pytest.raises(refusal) as raised:
        rules.check_text(text)
    assert raised.value.field == "$.body"


def test_nothing_is_trimmed_from_the_longest_message():
    rules.check_text(" " * (limits.MESSAGE_CHARS - 1) + "x")


def test_every_class_that_is_stored_has_a_word():
    assert set(rules.KIND_WORDS) == set(STORED)
    assert rules.kind_word(1) == "app"
    assert rules.kind_word(EventClass.STATE) == "state"
