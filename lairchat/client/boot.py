"""Gets something on the screen within 50 ms: which face to show, and the first frame.

Imports only what the frame needs; whoever calls ``first_paint`` imports the rest (Twisted alone
takes 200 ms) while the terminal keeps what is typed.
"""

from __future__ import annotations

import os
import sys

from lairchat.client.state import AppState
from lairchat.client.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lairchat.client.screen import Screen

__all__ = ["Face", "choose_face", "first_paint", "new_state"]

WORDS_WITH_VALUE = frozenset({"--server", "--account", "--ca"})


class Face(Value):
    """How the client shows itself, and why."""

    plain: bool
    reason: str


def choose_face(
    argv: Sequence[str], environ: Mapping[str, str], stdin_is_tty: bool, stdout_is_tty: bool
) -> Face:
    """Return whether to run without a screen: the flag, then the environment, then the terminal."""
    if "--plain" in argv:
        return Face(True, "--plain was given")
    if environ.get("LAIR_PLAIN", "") not in {"", "0"}:
        return Face(True, "LAIR_PLAIN is set")
    if environ.get("TERM", "") in {"", "dumb"}:
        return Face(True, f'TERM is "{environ.get("TERM", "")}"')
    if not stdin_is_tty:
        return Face(True, "standard input is not a terminal")
    if not stdout_is_tty:
        return Face(True, "standard output is not a terminal")
    return Face(False, "this is a terminal")


def server_of(argv: Sequence[str]) -> str:
    """Return the server that the command line names, for the first frame only."""
    skip = False
    for word in argv:
        if skip or word.startswith("-"):
            skip = word in WORDS_WITH_VALUE and not skip
            continue
        rest = word.partition("://")[2] or word
        return "".join(c for c in rest.partition("/")[0][:64] if " " < c < "\x7f")
    return ""


def new_state(argv: Sequence[str], width: int = 80, height: int = 24) -> AppState:
    """Return the state that a client starts with."""
    state = AppState(width, height)
    state.server = server_of(argv)
    state.trace_key = os.urandom(32)
    return state


def has_blocks(encoding: str) -> bool:
    """Tell whether a terminal's encoding has half blocks, in which a QR code is drawn."""
    try:
        "\u2580\u2584\u2588".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def first_paint(argv: Sequence[str]) -> tuple[Screen, AppState]:
    """Take the terminal and paint the first frame; the caller stops the screen in the end."""
    from lairchat.client.screen import Screen
    from lairchat.client.view import view

    encoding = sys.stdout.encoding if sys.stdout is not None else "utf-8"
    screen = Screen(os.environ, encoding=encoding or "utf-8")
    screen.start()
    width, height = screen.size()
    state = new_state(argv, width, height)
    state.blocks = has_blocks(encoding or "utf-8")
    screen.paint(view(state, width, height))
    screen.arm()
    for remark in screen.remarks:
        from lairchat.client.kit import notice

        notice(state, remark)
        screen.paint(view(state, width, height))
    return screen, state
