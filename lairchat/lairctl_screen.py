"""A live screen: each frame in the place of the last, until a key says that it is enough."""

import os
import sys
import termios
import tty
from typing import Any

from lairchat.lairctl_link import Daemon
from lairchat.operator import control

__all__ = ["Screen"]

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_ENOUGH = b"qQ"
_ESCAPE = b"\x1b"
_FOOTER = "q leaves"
_LOOK_SECONDS = 0.25
"""seconds: how often we look whether the window has another size."""


class Screen:
    """The terminal while something live is on it; before the first frame it is left alone."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None
        self._size = os.terminal_size((0, 0))
        self._frame = ""

    def wait(self, daemon: Daemon) -> control.Daemon:
        """Return the daemon's next message; meanwhile keys and the window's size count."""
        if self._before is None:
            return daemon.receive()
        keyboard = sys.stdin.fileno()
        while True:
            ready = daemon.ready(_LOOK_SECONDS, keyboard)
            if keyboard in ready and _is_enough(os.read(keyboard, 64)):
                daemon.send(control.Stop())
            if os.get_terminal_size(sys.stdout.fileno()) != self._size:
                self.paint(self._frame)
                daemon.send(control.Size(self._size.columns))
            if daemon.fileno() in ready:
                return daemon.receive()

    def paint(self, frame: str) -> None:
        """Show a frame, as much of it as there are lines."""
        if self._before is None:
            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
            sys.stdout.write(_ENTER)
        self._frame = frame
        self._size = os.get_terminal_size(sys.stdout.fileno())
        lines = [*frame.splitlines()[: max(0, self._size.lines - 1)], _FOOTER]
        sys.stdout.write("\x1b[H" + "\x1b[K\n".join(lines) + "\x1b[K\x1b[J")
        sys.stdout.flush()

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if self._before is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
            self._before = None
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


def _is_enough(keys: bytes) -> bool:
    """Tell whether somebody wants to leave: q, Escape (alone, no other key's code), or the end."""
    return keys in {b"", _ESCAPE} or not set(_ENOUGH).isdisjoint(keys)
