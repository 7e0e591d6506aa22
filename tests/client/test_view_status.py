"""The status line: the connection, what waits, the keys."""

import pytest

from lairchat.client import inputs as i
from tests.client.scenes import Person, attic, in_lobby


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (i.Connecting("lair.example", 7023), "[connecting]"),
        (i.Connected(), "[logging in]"),
        (i.Disconnected("LC-NET-REFUSED", "cannot reach it", 4.0), "[offline 12:00, retry 4 s]"),
        (i.Disconnected("LC-NET-REFUSED", "cannot reach it", 0.0), "[offline 12:00, retrying]"),
        (i.Halted("LC-VERSION", "too old"), "[stopped: LC-VERSION]"),
    ],
)
def test_the_status_line_tells_the_connection(event: i.Input, words: str) -> None:
    person = Person()
    person.link(event)
    assert words in person.screen()


def test_the_countdown_runs() -> None:
    person = in_lobby()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 9.5))
    assert "retry 10 s" in person.screen()
    person.wait(4_000)
    assert "retry 6 s" in person.screen()
    person.wait(60_000)
    assert "retrying" in person.screen()
    assert "offline" in person.screen(40, 12)


def test_before_the_first_tick_there_is_no_time() -> None:
    person = Person()
    person.state.now = 0
    person.state.phase = "online"
    assert "[--:--]" in person.screen()


def test_quitting_says_so() -> None:
    person = in_lobby()
    person.enter("/quit")
    assert "[closing]" in person.screen()


def test_the_prefix_and_scrolling_change_the_hints() -> None:
    person = attic(40, 12)
    person.key("ctrl-x")
    assert "^X ?" in person.screen()
    assert "[^X ... ? shows keys]" in person.screen(80, 24)
    person.types("?")
    person.key("esc")
    person.screen(40, 12)
    person.key("pgup")
    assert "Alt-End" in person.screen()
    assert "[F1 help Alt-End newest]" in person.screen(80, 12)


def test_the_narrowest_status_line_keeps_one_thing() -> None:
    person = attic(20, 6)
    person.key("pgup")
    assert "12:06 ok 12ms" in person.screen()


def test_reconnecting_by_hand_says_so() -> None:
    person = in_lobby()
    person.link(i.Disconnected("LC-NET-LOST", "lost", 9.5))
    person.enter("/reconnect")
    assert "[offline 12:00, retrying]" in person.screen()


def test_hints_follow_the_key_map() -> None:
    person = in_lobby()
    keys = (("keys.f1", ""), ("keys.ctrl-t", ""), ("keys.alt-g", ""), ("keys.f5", "help"))
    person.link(i.SettingsLoaded(keys))
    assert "[F5 help]" in person.screen()
    assert "F5 help" in person.screen(40, 12)
    assert "[F5 help]" in person.screen(120, 40)
    person.link(i.SettingsLoaded((("keys.f5", ""),)))
    assert "[/help help]" in person.screen(80, 24)


def test_a_narrow_line_tells_failed_from_queued() -> None:
    person = in_lobby(40, 12)
    (sent,) = person.enter("who may write here?")
    assert "1 queued" in person.screen()
    person.link(i.SendRefused(sent.ticket, "LC-ROOM-POSTING", "only moderators may write"))
    person.wait(60_000)
    assert "1 failed" in person.screen()
    assert "queued" not in person.screen()
