"""Effects are values; each command that can be refused carries the number of its answer."""

import pytest

from lairchat.client import effects

UNNUMBERED = {
    "Bell", "Copy", "Discard", "Effect", "FetchHistory", "Login", "MoveCursor", "Quit", "Reconnect", "Register",
    "Repaint", "Resend", "SaveSetting", "Send", "Suspend", "TrustAnswer",
}  # fmt: skip


@pytest.mark.parametrize("name", effects.__all__)
def test_each_is_a_documented_value(name: str) -> None:
    value = vars(effects)[name]
    assert value.__doc__
    assert issubclass(value, effects.Effect)


def test_commands_are_numbered_first() -> None:
    numbered = {name for name in effects.__all__ if vars(effects)[name].fields_[:1] == ("ref",)}
    assert set(effects.__all__) - numbered == UNNUMBERED
