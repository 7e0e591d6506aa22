"""The key map: no key twice, everything rebindable, nobody locked in."""

import pytest

from lairchat.client.keymap import BINDINGS, default_keymap, key_label, rebind, short_key


def test_no_key_is_bound_twice() -> None:
    keys = [key for one in BINDINGS for key in one.keys]
    assert len(keys) == len(set(keys))
    assert len({one.action for one in BINDINGS}) == len(BINDINGS)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("ctrl-t", "Ctrl-T"),
        ("alt-enter", "Alt-Enter"),
        ("f1", "F1"),
        ("f", "F"),
        ("pgup", "PgUp"),
        ("ctrl-alt-left", "Ctrl-Alt-Left"),
        ("alt-0", "Alt-0"),
        ("shift-tab", "Shift-Tab"),
        ("ctrl-\\", "Ctrl-\\"),
        ("alt-", "Alt-"),
    ],
)
def test_keys_are_written_as_people_do(key: str, label: str) -> None:
    assert key_label(key) == label


def test_rebinding() -> None:
    keymap = default_keymap()
    assert rebind(keymap, "f5", "switch")
    assert keymap["f5"] == "switch"
    assert rebind(keymap, "ctrl-t", "")
    assert "ctrl-t" not in keymap
    assert rebind(keymap, "ctrl-t", "")
    assert not rebind(keymap, "f6", "fly")
    assert short_key(keymap, "switch") == "Alt-G"
    rebind(keymap, "alt-g", "")
    assert short_key(keymap, "switch") == "F5"
    rebind(keymap, "f5", "")
    assert short_key(keymap, "switch") == ""
    assert short_key(keymap, "repaint") == "^L"


@pytest.mark.parametrize(
    ("key", "action"), [("enter", "send"), ("esc", "back"), ("ctrl-c", "cancel")]
)
def test_nobody_is_locked_in(key: str, action: str) -> None:
    keymap = default_keymap()
    assert not rebind(keymap, key, "")
    assert not rebind(keymap, key, "help")
    assert rebind(keymap, key, action)
    assert rebind(keymap, "f7", action)
    assert rebind(keymap, key, "")
    assert not rebind(keymap, "f7", "")
