"""Slash commands about the program, the connection and the account."""

from lairchat import __version__
from lairchat.client import effects as e
from lairchat.client import inputs as i
from lairchat.client.dialogs import Form, Page
from tests.client.scenes import Person, attic, in_lobby


def test_whois_says_what_is_known() -> None:
    person = attic()
    person.enter("/whois BOB")
    assert "bob: here" in person.screen()
    assert "moderator in #attic" in person.screen()
    person.enter("/whois you")
    assert "this is you, user on lair.example" in person.screen()
    person.enter("/whois @alice")
    assert "admin in #attic" in person.screen()


def test_whois_of_a_direct_peer_without_a_common_room() -> None:
    person = in_lobby()
    person.link(i.RoomJoined(i.RoomInfo(2, "bob", direct=True), show=False))
    person.enter("/whois bob")
    assert "bob: not here" in person.screen()


def test_status_says_how_things_stand() -> None:
    person = attic()
    person.enter("queued one")
    person.enter("/status")
    page = person.screen(120, 40)
    for part in ("online, tls1.3, 12 ms", "amber otter", "you, user", "7, ", "1 waiting, 0 failed"):
        assert part in page
    fresh = Person()
    fresh.enter("/status")
    assert "nobody is logged in" in fresh.screen(120, 40)


def test_set_lists_shows_and_changes() -> None:
    person = attic()
    person.enter("/set")
    assert "bell     on" in person.screen(120, 40)
    person.enter("/set bell off")
    assert person.state.settings.bell is False
    assert person.note == "bell is off"
    person.enter("/set bell")
    assert "bell     off" in person.screen(120, 40)


def test_layout_turns_panes_on_and_off() -> None:
    person = attic(120, 40)
    person.enter("/layout members")
    assert "MEMBERS" not in person.screen()
    person.enter("/layout members on")
    assert "MEMBERS" in person.screen()
    person.enter("/layout rooms off")
    assert "ROOMS" not in person.screen()


def test_version_and_plain_and_debug() -> None:
    person = attic()
    person.enter("/version")
    assert f"Lair Chat {__version__}, server 0.1.0" in person.screen()
    person.enter("/plain")
    assert "lair --plain" in person.screen()
    person.enter("/debug")
    assert isinstance(person.state.dialog, Page)
    assert "screen      80x24" in person.screen()
    assert "deploy finished" not in person.screen()


def test_help_for_one_command() -> None:
    person = attic()
    person.enter("/help join")
    assert "/join #ROOM" in person.screen()
    assert "for example: /join #ops" in person.screen()
    person.enter("/help jion")
    assert "Did you mean /join?" in person.screen()
    person.enter("/help xyzzy")
    assert "there is no /xyzzy." in person.screen()
    person.enter("/help new")
    assert "(also /create)" in person.screen()


def test_password_is_asked_for_in_a_form() -> None:
    person = attic()
    assert person.enter("/password") == []
    assert isinstance(person.state.dialog, Form)


def test_logout_asks_first() -> None:
    person = attic()
    person.enter("/logout")
    assert "on this device" in person.screen()
    (logout,) = person.types("y")
    assert isinstance(logout, e.Logout)
    assert not logout.everywhere
    person.enter("/logout all")
    (logout,) = person.types("y")
    assert logout.everywhere


def test_quitting_asks_when_a_draft_would_be_lost() -> None:
    """Target 12: silent loss of typed text, none; the draft stands in a room that is not shown."""
    for keys in (("/quit",), ()):
        person = attic()
        person.types("not finished")
        person.link(i.RoomJoined(i.RoomInfo(20, "den")))
        for text in keys:
            assert person.enter(text) == []
        if not keys:
            person.key("ctrl-c")
        assert "unsent draft in #attic" in person.screen()
        person.types("n")
        assert not person.state.quitting
        assert person.state.rooms[7].editor.text == "not finished"
        person.enter("/quit")
        assert person.types("y") == [e.Quit()]
        assert person.state.quitting
    assert attic().enter("/quit") == [e.Quit()]
