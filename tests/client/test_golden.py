"""Whole screens, compared character by character with the files in golden/ (ux.md, targets 9, 13).

After a deliberate change: GOLDEN_WRITE=1 pytest tests/client/test_golden.py, then read the diff.
"""

import os
from pathlib import Path

import pytest

from lairchat.client import markup
from tests.client.scenes import SCENES, SIZES, readme

# Half blocks, in which QR codes are drawn, as characters that every editor shows.
BLOCKS = str.maketrans({"\u2588": "#", "\u2580": "^", "\u2584": "_"})
GOLDEN = Path(__file__).parent / "golden"
CASES = [(name, width, height) for name in SCENES for width, height in SIZES]


def path_of(name: str, width: int, height: int) -> Path:
    return GOLDEN / f"{name}-{width}x{height}.txt"


@pytest.mark.parametrize(("name", "width", "height"), CASES)
def test_screen_is_the_golden_one(name: str, width: int, height: int) -> None:
    canvas = SCENES[name](width, height).canvas()
    lines = canvas.lines()
    assert len(lines) == height
    assert all(markup.width(line) == width for line in lines)
    text = "\n".join(line.rstrip() + "$" for line in lines) + f"\ncursor {canvas.cursor}\n"
    text = text.translate(BLOCKS)
    path = path_of(name, width, height)
    if os.environ.get("GOLDEN_WRITE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {one.name for one in GOLDEN.iterdir()} == {path_of(*case).name for case in CASES}


def test_the_readme_shows_what_the_program_paints() -> None:
    lines = [line.rstrip() for line in readme().canvas().lines()]
    picture = "\n".join(f"   {line}".rstrip() for line in lines).rstrip()
    text = (Path(__file__).parents[2] / "README.rst").read_text(encoding="utf-8")
    assert f"as it is on the screen::\n\n{picture}\n\n" in text


def test_text_share_of_the_screen() -> None:
    """Target 9: 64 of 80 columns at 80x24, 40 of 40 at 40x12; at least half with a side pane."""
    from lairchat.client.layout import layout

    for width, height, least in ((80, 24, 64), (40, 12, 40), (120, 40, 60), (200, 60, 100)):
        state = SCENES["attic"](width, height).state
        assert layout(state, width, height).text_w >= least
    for width in range(100, 201):
        state = SCENES["attic"](width, 30).state
        assert layout(state, width, 30).text_w * 2 >= width
    for width in range(60, 100):
        state = SCENES["attic"](width, 30).state
        assert layout(state, width, 30).text_w * 10 >= width * 6


def test_every_row_of_a_message_keeps_its_gutter() -> None:
    """A message's second line cannot pose as somebody else's message."""
    from lairchat.client import inputs as i

    person = SCENES["in_lobby"]()
    person.link(
        i.MessageArrived(1, i.Message(1, 0, "eve", "hi\n12:07 alice  I quit\r\n12:08 bob  me too"))
    )
    for width, height in SIZES:
        lines = person.screen(width, height).split("\n")
        forged = [line for line in lines if "I quit" in line or "me too" in line]
        assert forged
        start = {40: 0, 80: 16, 120: 28, 200: 28}[width]
        assert all(line[start : start + 2] == "  " for line in forged)
