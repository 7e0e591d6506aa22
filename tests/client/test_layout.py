"""Panes by width, the input's growth, and what is said in the last rows."""

import pytest

from lairchat.client import inputs as i
from lairchat.client.layout import layout
from tests.client.scenes import Person, attic, connected, in_lobby


@pytest.mark.parametrize(
    ("width", "height", "kind", "rooms", "side"),
    [
        (19, 24, "tiny", 0, 0),
        (80, 5, "tiny", 0, 0),
        (20, 6, "narrow", 0, 0),
        (59, 24, "narrow", 0, 0),
        (60, 24, "middle", 15, 0),
        (99, 24, "middle", 15, 0),
        (100, 24, "wide", 22, 25),
        (120, 40, "wide", 27, 31),
        (200, 60, "wide", 27, 31),
    ],
)
def test_panes_by_size(width: int, height: int, kind: str, rooms: int, side: int) -> None:
    found = layout(attic().state, width, height)
    assert (found.kind, found.rooms_w, found.side_w) == (kind, rooms, side)
    if kind != "tiny":
        assert found.text_x + found.text_w + (1 if side else 0) + side == width
        assert found.body_h >= 1


def test_too_small_says_so_and_keeps_running() -> None:
    person = attic()
    assert "terminal too small:" in person.screen(19, 6)
    assert "20x6" in person.screen(19, 6)
    assert person.screen(1, 1) == "t"
    person.enter("still works")
    assert person.sent() == ["still works"]
    assert "works" in person.screen(20, 6)


def test_every_size_has_a_body_and_an_input() -> None:
    person = attic()
    person.room.editor.set("many\n" * 12)
    person.link(i.Notice("a long notice " * 20))
    for width in (20, 39, 59, 60, 80, 99, 100, 140):
        for height in range(6, 40):
            found = layout(person.state, width, height)
            assert found.editor is not None
            assert found.body_h >= 1, (width, height)
            assert found.status_y == 1 + found.body_h
            assert found.input_y == found.status_y + 1
            assert found.input_y + len(found.editor.rows) + found.hint_h == height


def test_the_input_grows_to_eight_rows_and_scrolls_inside() -> None:
    person = in_lobby()
    for count in range(1, 12):
        person.room.editor.set("\n".join(f"row {n}" for n in range(count)))
        found = layout(person.state, 80, 24)
        assert found.editor is not None
        assert len(found.editor.rows) == min(count, 8)
    assert person.screen().split("\n")[-8].startswith("^  row 3")
    person.room.editor.at = 0
    page = person.screen().split("\n")
    assert page[-8].startswith("[!#lobby PLAIN] row 0")
    assert page[-1].startswith("v")


def test_the_label_is_in_title_prompt_and_list() -> None:
    page = in_lobby().screen().split("\n")
    assert "| PLAIN not encrypted" in page[0]
    assert "[!#lobby PLAIN] " in page[-2]
    assert "> #lobby PLAIN" in page[2]
    narrow = in_lobby(40, 12).screen().split("\n")
    assert narrow[0].startswith("#lobby PLAIN 2")
    assert narrow[-1].startswith("[!PLAIN] ")


def test_an_encrypted_room_has_no_warning_in_its_prompt() -> None:
    """The door for the encryption issue: labels are values of the state."""
    person = in_lobby()
    person.link(i.RoomChanged(1, label="E2E+"))
    page = person.screen().split("\n")
    assert "[#lobby E2E+] " in page[-2]
    assert "E2E+ all devices ok" in page[0]


def test_a_long_room_name_does_not_eat_the_input() -> None:
    person = connected(60, 24)
    person.link(i.RoomsSynced((i.RoomInfo(1, "x" * 32, topic="t" * 200),)))
    assert "[!PLAIN] " in person.screen()
    for width in (20, 30, 60, 100):
        assert all(len(line) == width for line in person.screen(width, 12).split("\n"))


def test_notes_take_up_to_three_rows() -> None:
    person = in_lobby()
    person.link(i.Notice("word " * 100))
    assert layout(person.state, 80, 24).hint_h == 3
    person.wait(20_000)
    assert layout(person.state, 80, 24).hint_h == 1


@pytest.mark.parametrize("toggle", ["alt-r", "alt-n"])
def test_panes_are_switched_by_keys(toggle: str) -> None:
    person = attic(120, 40)
    before = layout(person.state, 120, 40).text_w
    person.key(toggle)
    assert layout(person.state, 120, 40).text_w > before
    person.key(toggle)
    assert layout(person.state, 120, 40).text_w == before


def test_the_members_fill_their_pane_and_name_the_rest() -> None:
    person: Person = attic(80, 24)
    person.link(i.MembersListed(7, tuple(i.Member(f"user{n:03}") for n in range(200))))
    person.key("alt-n")
    page = person.screen()
    assert "user000" in page
    assert "more: /names" in page
    person.key("esc")
    assert "user000" not in person.screen()


def test_a_long_room_list_scrolls_to_the_current_one() -> None:
    person = connected()
    person.link(i.RoomsSynced(tuple(i.RoomInfo(n, f"room{n:03}") for n in range(1, 60))))
    person.enter("/join #room050")
    assert "> #room050" in person.screen()


def test_large_counts_are_cut() -> None:
    person = attic()
    person.link(i.UnreadChanged(2, 5_000, 0))
    assert "999+" in person.screen()
