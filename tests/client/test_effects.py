"""Effects are values; each command that can be refused carries the number of its answer."""

import pytest

from lairchat.client import effects, effects_sealed

UNNUMBERED = {
    "Bell", "Copy", "Discard", "Effect", "FetchHistory", "Login", "MoveCursor", "Quit", "Reconnect", "Register",
    "Repaint", "Resend", "SaveSetting", "Send", "Suspend", "TrustAnswer",
    "AnswerComparison", "CancelComparison", "Typing", "Unlock", "Verdict", "WordsKept",
}  # fmt: skip


BOTH = vars(effects) | vars(effects_sealed)
NAMES = [*effects.__all__, *effects_sealed.__all__]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_documented_value(name: str) -> None:
    value = BOTH[name]
    assert value.__doc__
    assert issubclass(value, effects.Effect)


def test_commands_are_numbered_first() -> None:
    numbered = {name for name in NAMES if BOTH[name].fields_[:1] == ("ref",)}
    assert set(NAMES) - numbered == UNNUMBERED
