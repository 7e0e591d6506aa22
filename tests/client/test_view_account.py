"""The first run's page."""

from lairchat.client import inputs as i
from tests.client.scenes import trusting


def test_a_notice_over_a_form_and_a_reveal_of_the_fingerprint() -> None:
    person = trusting()
    person.link(i.Notice("something happened", "LC-X"))
    assert "LC-X  something happened" in person.screen()
    person.types("f")
    short = person.screen(40, 20)
    assert "sha256" in short
