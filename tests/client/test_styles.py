"""Attributes are decoration: each has a style, no meaning rests on one."""

import pytest

from lairchat.client.styles import STYLES, style
from tests.client.scenes import SCENES, SIZES


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_attribute_in_use_has_a_style(scene: str) -> None:
    for width, height in SIZES:
        assert SCENES[scene](width, height).canvas().attrs() <= set(STYLES)
    assert style("no such attribute") == ("", -1)


def test_no_meaning_rests_on_an_attribute() -> None:
    """Target 13: characters are the same whatever the attributes look like; states differ in text."""
    pages = {SCENES[scene]().screen() for scene in SCENES}
    assert len(pages) == len(SCENES)
