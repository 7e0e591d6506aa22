"""The page as a whole: hints everywhere, the same text without colours, the window's title."""

import time

import pytest

from lairchat.client.view import window_title
from tests.client.scenes import NOON, SCENES, SIZES, Person, attic, in_lobby

KEY_HINTS = ("F1", "^T", "Esc", "Enter", "[y]", "q quit", "t trust")


@pytest.mark.parametrize("scene", sorted(SCENES))
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_state_shows_a_key(scene: str, width: int, height: int) -> None:
    """Target 18."""
    page = SCENES[scene](width, height).screen()
    assert any(hint in page for hint in KEY_HINTS)


def test_the_title_of_the_window_counts_what_is_meant_for_the_user() -> None:
    person = attic()
    assert window_title(person.state) == "(2) lair"
    assert window_title(in_lobby().state) == "lair"
    person.enter("/set title off")
    assert window_title(person.state) == ""


def test_what_was_said_before_the_first_tick_stays_a_while() -> None:
    from lairchat.client.kit import notice

    person = Person()
    person.state.now = 0
    notice(person.state, "unknown terminal")
    person.tick(NOON)
    assert "unknown terminal" in person.screen()
    person.wait(13_000)
    assert "unknown terminal" not in person.screen()


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
