"""Which input goes where: prefix, unbound keys, dialogs, the room."""

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Page, Switcher
from tests.client.scenes import attic


def test_the_prefix_reaches_what_tmux_keeps() -> None:
    person = attic()
    person.key("ctrl-x")
    person.types("?")
    assert isinstance(person.state.dialog, Page)
    person.key("ctrl-x")
    person.types("l")
    assert person.did[-1] == e.Repaint()
    person.key("esc", "ctrl-x")
    person.types("t")
    assert isinstance(person.state.dialog, Switcher)
    person.key("esc", "ctrl-x", "ctrl-n")
    assert person.room.title != "#attic"
    person.key("ctrl-x", "f1")
    assert "does nothing. Known:" in person.note
    person.key("ctrl-x")
    person.types("p and text")
    assert person.input.endswith(" and text")
    person.key("ctrl-x")
    person.link(i.Paste("pasted"))
    assert not person.state.prefix


def test_an_unbound_key_says_so() -> None:
    person = attic()
    person.key("f9")
    assert person.note.startswith("F9 does nothing here")
    person.state.note = None
    person.key("insert")
    assert person.note == ""
