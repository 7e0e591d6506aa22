"""Everything that can be typed is in the help, and the help is made of the tables (target 17)."""

import pytest

from lairchat.client import inputs as i
from lairchat.client.actions import ACTIONS as RUN
from lairchat.client.actions import SELECTED
from lairchat.client.commands import COMMANDS
from lairchat.client.dialogs import Page
from lairchat.client.help import help_lines
from lairchat.client.keymap import ACTIONS, BINDINGS, GROUPS, PREFIXED, SELECTION, key_label
from lairchat.client.settings import SETTINGS
from tests.client.scenes import SCENES, attic


def test_every_command_and_every_key_is_documented() -> None:
    text = "\n".join(help_lines(attic().state))
    for command in COMMANDS:
        assert command.usage in text
        assert command.help in text
    for binding in BINDINGS:
        assert binding.help in text
        assert all(key_label(key) in text for key in binding.keys)
    for key in PREFIXED:
        assert f"Ctrl-X {key}" in text
    for _, _, words in SELECTION:
        assert words in text
    for setting in SETTINGS:
        assert setting.help in text


def test_the_tables_and_the_code_name_the_same_actions() -> None:
    assert set(ACTIONS) == set(RUN)
    assert {action for _, action, _ in SELECTION} == set(SELECTED)
    assert set(PREFIXED.values()) <= set(ACTIONS)
    assert {binding.group for binding in BINDINGS} == set(GROUPS)


def test_a_rebound_key_is_shown_where_it_is_now() -> None:
    person = attic()
    person.link(i.SettingsLoaded((("keys.f5", "switch"), ("keys.ctrl-t", ""), ("keys.alt-g", ""))))
    text = "\n".join(help_lines(person.state))
    assert "  F5  " in text
    assert "Ctrl-T" not in text


def test_an_action_without_a_key_says_so() -> None:
    person = attic()
    person.link(i.SettingsLoaded((("keys.f2", ""),)))
    assert "(no key)" in "\n".join(help_lines(person.state))


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        ("trusting", "trust this server and remember it"),
        ("registering", "show the password"),
        ("switching", "narrow down"),
        ("selecting", "take a failed one back"),
        ("attic", "COMMANDS: start"),
    ],
)
def test_f1_begins_with_what_is_open(scene: str, words: str) -> None:
    person = SCENES[scene]()
    person.key("f1")
    assert isinstance(person.state.dialog, Page)
    assert words in "\n".join(person.screen().split("\n")[:9])
    person.key("f1")
    assert sum(isinstance(one, Page) for one in person.state.dialogs) == 1
    person.key("esc")
    assert not isinstance(person.state.dialog, Page)
