"""The state object: nothing secret or long in its representations, numbers never repeat."""

from lairchat.client.state import AppState, Window
from tests.client.scenes import attic


def test_a_room_is_shown_without_its_texts() -> None:
    assert repr(attic().room) == "Room(7, #attic, 0 unread)"


def test_numbers_do_not_repeat() -> None:
    state = AppState()
    assert len({state.number() for _ in range(100)}) == 100


def test_an_empty_window_has_no_ends() -> None:
    window = Window()
    assert (window.head, window.tail) == (0, 0)


def test_a_current_room_that_is_gone_falls_back_to_the_first_page() -> None:
    state = AppState()
    state.current = 99
    assert state.room is state.console
