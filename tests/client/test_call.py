"""A command line's words: taken one by one, with the usage in every error."""

import pytest

from lairchat.client.call import Call
from lairchat.client.commands import COMMANDS, lookup
from lairchat.client.kit import CommandError

KICK = lookup("kick")


def called(arguments: str) -> Call:
    assert KICK is not None
    return Call(KICK, arguments, f"/kick {arguments}")


def test_words_then_the_rest() -> None:
    call = called("  eve   please  read the topic ")
    assert call.word("NAME") == "eve"
    assert call.rest() == "please  read the topic"
    assert call.rest() == ""
    call.end()


def test_what_is_missing_is_named_with_an_example() -> None:
    with pytest.raises(CommandError, match=r"NAME is missing\. /kick NAME \[REASON\] .* /kick eve"):
        called(" ").word("NAME")


def test_what_is_too_much_is_quoted_and_cut() -> None:
    with pytest.raises(CommandError, match='"xxxxxxxxxxxxxxxxxxxx" is too much'):
        called("x" * 99).end()


def test_an_optional_word_may_be_absent() -> None:
    call = called("eve")
    assert [call.optional(), call.optional()] == ["eve", ""]


def test_commands_are_values() -> None:
    assert len(set(COMMANDS)) == len(COMMANDS)
