"""Connecting, losing it, stopping for good, logging out."""

from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Page
from tests.client.scenes import (
    FINGERPRINT,
    WORDS,
    Person,
    attic,
    changed,
    in_lobby,
)


def test_the_way_to_being_online() -> None:
    person = Person()
    phases = [person.state.phase]
    for event in (
        i.Connecting("lair.example", 7023),
        i.Connected("tls1.3"),
        i.HelloReceived(WORDS, FINGERPRINT),
        i.LoggedIn("you", 1, "owner"),
    ):
        person.link(event)
        phases.append(person.state.phase)
    assert phases == ["starting", "connecting", "greeting", "greeting", "online"]
    assert person.state.me is not None
    assert person.state.me.role == "owner"
    assert "connecting to lair.example:7023" in person.screen()


def test_reconnecting_is_said_once_and_keeps_the_rooms() -> None:
    person = attic()
    lost = i.Disconnected("LC-NET-LOST", "the connection was lost", 2.0)
    person.link(lost, i.Connecting("lair.example", 7023), lost, lost)
    assert person.screen(120, 40).count("the connection was lost") == 1
    person.link(i.Connecting("lair.example", 7023))
    assert "[connecting]" in person.screen()
    assert person.room.title == "#attic"


def test_a_reason_behind_a_dialog_is_seen_too() -> None:
    person = attic()
    person.key("ctrl-t")
    person.link(i.Disconnected("LC-NET-LOST", "the connection was lost", 2.0))
    assert "LC-NET-LOST" in person.note


def test_halting_says_what_to_do() -> None:
    person = Person()
    person.link(
        i.Connecting("h", 1), i.AccountNeeded("h"), i.Halted("LC-VERSION", "this server is newer")
    )
    assert person.state.dialogs == []
    page = person.screen()
    assert "LC-VERSION  this server is newer" in page
    assert "/reconnect" in page
    person.link(i.Connecting("h", 1))
    assert person.state.phase == "connecting"


def test_a_changed_identity_can_only_be_left() -> None:
    """Issue 2: a changed identity is a hard stop."""
    person = changed()
    for key in ("enter", "tab", "up", "pgdn"):
        assert person.key(key) == []
    assert person.types("t") == []
    assert person.types("y") == []
    assert isinstance(person.state.dialog, Page)
    assert person.key("esc") == [e.Quit()]
    assert changed().types("q") == [e.Quit()]


def test_logging_out_keeps_drafts_in_the_history() -> None:
    person = attic()
    person.types("unsent draft")
    person.link(i.LoggedOut("logged out by another device"))
    assert person.state.rooms == {}
    assert person.state.history.entries[-1] == "unsent draft"
    assert "logged out by another device" in person.screen()
    person.link(i.LoggedOut(""))


def test_the_end_we_asked_for_is_no_error() -> None:
    person = in_lobby()
    person.enter("/quit")
    person.link(i.Disconnected("LC-BYE", "goodbye", 0.0))
    assert "LC-BYE" not in person.screen()
