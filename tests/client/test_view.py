"""The page as a whole: hints everywhere, the same text without colours, the window's title."""

import time

import pytest

from lairchat.client import inputs as i
from lairchat.client.styles import STYLES, style
from lairchat.client.view import window_title
from tests.client.scenes import NOON, SCENES, SIZES, Person, attic, connected, in_lobby, trusting

KEY_HINTS = ("F1", "^T", "Esc", "Enter", "[y]", "q quit", "t trust")


@pytest.mark.parametrize("scene", sorted(SCENES))
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_state_shows_a_key(scene: str, width: int, height: int) -> None:
    """Target 18."""
    page = SCENES[scene](width, height).screen()
    assert any(hint in page for hint in KEY_HINTS)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_attribute_in_use_has_a_style(scene: str) -> None:
    for width, height in SIZES:
        assert SCENES[scene](width, height).canvas().attrs() <= set(STYLES)
    assert style("no such attribute") == ("", -1)


def test_no_meaning_rests_on_an_attribute() -> None:
    """Target 13: characters are the same whatever the attributes look like; states differ in text."""
    pages = {SCENES[scene]().screen() for scene in SCENES}
    assert len(pages) == len(SCENES)


def test_the_title_of_the_window_counts_what_is_meant_for_the_user() -> None:
    person = attic()
    assert window_title(person.state) == "(2) lair"
    assert window_title(in_lobby().state) == "lair"
    person.enter("/set title off")
    assert window_title(person.state) == ""


def test_the_usage_of_a_command_is_shown_while_it_is_typed() -> None:
    person = in_lobby()
    person.types("/ki")
    assert "/kick   (Tab completes)" in person.screen()
    person.types("ck ")
    assert "/kick NAME [REASON]   put somebody out" in person.screen()
    person.key("ctrl-u")
    person.types("/zzz")
    assert "Tab completes" not in person.screen()
    person.types(" x")
    assert "Tab completes" not in person.screen()
    person.key("ctrl-u")
    person.types("//x")
    assert "Tab completes" not in person.screen()


def test_the_length_is_shown_before_the_limit_hits() -> None:
    person = in_lobby()
    person.types("x" * 3_501)
    assert "3501/4096" in person.screen()
    person.types("x" * 1_000)
    assert "TOO LONG" in person.screen()
    assert "4501/4096" in person.screen(120, 40)


def test_the_count_moves_to_its_own_row_when_the_last_one_is_full() -> None:
    person = in_lobby()
    person.types("short")
    person.key("alt-enter")
    person.types("x" * 60)
    assert "2 lines 66/4096" in person.screen().split("\n")[-1]
    narrow = in_lobby(40, 12)
    narrow.types("short")
    narrow.key("alt-enter")
    narrow.types("y")
    assert "2 lines" not in narrow.screen()


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


def test_what_was_said_before_the_first_tick_stays_a_while() -> None:
    from lairchat.client.kit import notice

    person = Person()
    person.state.now = 0
    notice(person.state, "unknown terminal")
    person.tick(NOON)
    assert "unknown terminal" in person.screen()
    person.wait(13_000)
    assert "unknown terminal" not in person.screen()


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


def test_a_room_without_a_topic_or_members() -> None:
    person = connected()
    person.link(i.RoomsSynced((i.RoomInfo(1, "x"),)))
    assert person.screen().split("\n")[0].startswith(" #x ")
    assert "members" not in person.screen()


def test_narrow_titles_count_what_waits() -> None:
    person = attic(40, 12)
    assert "1@ (alt-a)" in person.screen().split("\n")[0]
    person.link(i.UnreadChanged(3, 2, 0))
    assert "+3 (alt-a)" in person.screen().split("\n")[0]


def test_a_notice_over_a_form_and_a_reveal_of_the_fingerprint() -> None:
    person = trusting()
    person.link(i.Notice("something happened", "LC-X"))
    assert "LC-X  something happened" in person.screen()
    person.types("f")
    short = person.screen(40, 20)
    assert "sha256" in short


def test_painting_a_key_costs_under_a_millisecond_in_most_cases() -> None:
    """Target 5 in kind; benchmarks/client_paint.py measures it properly."""
    from lairchat.client.canvas import diff

    person = attic(120, 40)
    old = person.canvas()
    costs = []
    for letter in "the quick brown fox jumps over the lazy dog" * 3:
        start = time.process_time()
        person.types(letter)
        new = person.canvas()
        diff(old, new)
        costs.append(time.process_time() - start)
        old = new
    assert sorted(costs)[len(costs) // 2] < 0.004
