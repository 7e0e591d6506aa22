"""Defends: style.md item 3: blame in the type, and item 10: codes with sentences for people."""

import re

import pytest

from lairchat.model.refusals import REFUSALS
from lairchat.wire.errors import CODES, MisuseError, ProtocolError
from lairchat.wire.objects import Error


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_sentence_that_fits_an_error_frame(code: str) -> None:
    error = ProtocolError(code)
    assert re.fullmatch(r"LC(-[A-Z]+)+", code)
    assert error.text == CODES[code]
    assert (error.field, tuple(error.before)) == (None, ())
    Error(code=error.code, text=error.text)


def test_an_unknown_code_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        ProtocolError("LC-NONE")
    assert not issubclass(MisuseError, ProtocolError)


def test_codes_are_not_refusals_too() -> None:
    assert not set(CODES) & set(REFUSALS)


def test_what_the_other_end_wrote_is_made_safe_and_cut() -> None:
    error = ProtocolError("LC-ARGS", "\x1b]0;x\x07" + "y" * 999, field="$." + "\u202e" * 99)
    assert "\x1b" not in error.text
    assert len(error.text) == 400
    assert "\u202e" not in str(error.field)
    assert len(str(error.field)) == 80


def test_it_prints_as_one_line() -> None:
    assert str(ProtocolError("LC-PONG")) == f"LC-PONG: {CODES['LC-PONG']}"
    assert str(ProtocolError("LC-ARGS", "no", field="$.a")) == "LC-ARGS: no ($.a)"
