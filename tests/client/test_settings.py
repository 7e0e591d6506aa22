"""What /set changes."""

from lairchat.client.settings import SETTINGS, change, describe
from tests.client.scenes import in_lobby


def test_every_setting_changes_the_state() -> None:
    state = in_lobby().state
    for setting in SETTINGS:
        for value in setting.values:
            assert change(state, setting.name, value) == ""
            assert getattr(state.settings, setting.name) == (value == "on")
            line = next(line for line in describe(state) if line.startswith(setting.name))
            assert setting.help in line
            assert f" {value} " in line
    assert change(state, "bell", "maybe") == "bell takes on or off"
    assert "/set" in change(state, "gone", "on")
