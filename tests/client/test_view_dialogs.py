"""Pages scroll within their lines and fit their width."""

from lairchat.client.dialogs import Page
from tests.client.scenes import attic


def test_the_help_scrolls_within_its_lines() -> None:
    person = attic()
    person.key("f1")
    page = person.state.dialog
    assert isinstance(page, Page)
    person.key("up")
    assert page.top == 0
    person.key("down", "pgdn")
    assert page.top == 21
    person.key("end")
    last = page.top
    person.key("down", "pgdn")
    assert page.top == last
    assert "WHO CAN READ" in person.screen()
    person.key("home")
    assert page.top == 0
    person.types(" ")
    assert page.top == 20
    person.key("alt-end", "alt-home")
    assert page.top == 0
    person.key("left")
    assert page.top == 0
    person.types("q")
    assert person.state.dialog is None


def test_no_line_of_the_help_is_wider_than_the_page() -> None:
    for width in (40, 60, 80, 120):
        person = attic(width, 24)
        person.key("f1")
        person.key("end")
        assert all(len(line) == width for line in person.screen().split("\n"))
