"""The first run's page."""

import pytest

from lairchat.client import inputs as i
from tests.client.scenes import registering, trusting


def test_a_notice_over_a_form_and_a_reveal_of_the_fingerprint() -> None:
    person = trusting()
    person.link(i.Notice("something happened", "LC-X"))
    assert "LC-X  something happened" in person.screen()
    person.types("f")
    short = person.screen(40, 20)
    assert "sha256" in short


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (60, 9), (40, 8), (20, 6)])
def test_the_answer_and_what_is_wrong_with_it_are_seen_at_every_size(
    width: int, height: int
) -> None:
    person = registering(width, height)
    person.key("ctrl-u")
    person.types("short")
    canvas = person.canvas()
    assert "*****" in person.screen()
    assert canvas.cursor is not None
    assert canvas.lines()[canvas.cursor[1]].startswith("*****", canvas.cursor[0] - 5)
    person.key("enter")
    shown = " ".join(person.screen().split())
    assert "the password is" in shown
    assert "Password" in shown
    if height > 6:
        assert "too short" in shown
