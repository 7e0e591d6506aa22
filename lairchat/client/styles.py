"""What the canvas's attribute names look like: decoration only, every meaning stands in the text.

A style is letters for bold ``b``, dim ``d``, reverse ``r`` and underline ``u``, and a colour of the
first eight (0 black to 7 white), -1 for the terminal's own.
"""

from __future__ import annotations

__all__ = ["BACKGROUNDS", "STYLES", "style"]

BACKGROUNDS = {"code": 0}
"""The colour behind what has to be light on dark on every terminal: a QR code."""

STYLES: dict[str, tuple[str, int]] = {
    "normal": ("", -1),
    "title": ("r", -1),
    "title-text": ("b", -1),
    "status": ("r", -1),
    "status-bad": ("rb", -1),
    "heading": ("b", -1),
    "border": ("d", -1),
    "dim": ("d", -1),
    "hint": ("d", -1),
    "note": ("b", -1),
    "error": ("b", 1),
    "strong": ("b", -1),
    "prompt": ("b", -1),
    "input": ("", -1),
    "time": ("d", -1),
    "self": ("b", -1),
    "mention": ("b", 3),
    "mention-text": ("b", -1),
    "state": ("d", -1),
    "unread": ("b", 3),
    "selected": ("r", -1),
    "mark-.": ("d", -1),
    "mark-v": ("d", 2),
    "mark-x": ("b", 1),
    "room": ("", -1),
    "room-current": ("r", -1),
    "room-unread": ("b", -1),
    "room-mine": ("b", 3),
    "member": ("d", -1),
    "member-here": ("", -1),
    "field": ("", -1),
    "field-current": ("b", -1),
    "code": ("", 7),
    "nick0": ("", 2),
    "nick1": ("", 6),
    "nick2": ("", 5),
    "nick3": ("", 4),
    "nick4": ("", 3),
    "nick5": ("", 1),
}


def style(attr: str) -> tuple[str, int]:
    """Return the style of an attribute name; an unknown one looks normal."""
    return STYLES.get(attr, ("", -1))
