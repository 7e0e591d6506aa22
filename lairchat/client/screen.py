"""Puts canvases on the terminal and takes keys from it: the only module that imports curses.

curses serves for terminfo alone (what this terminal calls "move the cursor"); the bytes are our own,
so that every change on the page is one write, and nothing a canvas holds can raise or move anything.
Unknown terminals are treated as a VT100, and ``remarks`` says so.
"""

from __future__ import annotations

import atexit
import curses
import os
import select
import sys
import termios
import time

from lairchat.client.canvas import TAIL, Canvas, Span, diff, is_risky
from lairchat.client.effects import Bell, Copy, Effect, Repaint, Suspend
from lairchat.client.inputs import Input, Resize
from lairchat.client.keys import KeyParser
from lairchat.client.markup import shown
from lairchat.client.styles import BACKGROUNDS, STYLES, style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType
    from typing import Any

__all__ = ["Screen", "Terminal", "wants_colour"]

FALLBACK = "vt100"
READ_BYTES = 65_536
READS = 64  # per call: a flood of input does not starve the reactor
CLIPBOARD_BYTES = 74_994  # what common terminals take at most
PASTE_GAP = 0.15  # seconds within which more input belongs to a paste without brackets
TITLED = (
    "xterm", "rxvt", "tmux", "screen", "alacritty", "foot", "kitty", "st-", "wezterm", "vte",
    "konsole", "gnome", "putty", "ghostty", "contour", "iterm",
)  # fmt: skip
UNBRACKETED = ("linux", "vt1", "vt2", "vt3", "vt4", "ansi", "sun", "cons25")
ANSI = {
    "cup": b"\x1b[%i%p1%d;%p2%dH",
    "clear": b"\x1b[H\x1b[J",
    "el": b"\x1b[K",
    "sgr0": b"\x1b[m",
    "bold": b"\x1b[1m",
    "rev": b"\x1b[7m",
    "smul": b"\x1b[4m",
}  # for when terminfo has not even a VT100
ON = b"\x1b[?2004h\x1b[?1004h"  # bracketed paste, focus events
OFF = b"\x1b[?1004l\x1b[?2004l"


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Tell whether colours are wanted: https://no-color.org and CLICOLOR."""
    return not environ.get("NO_COLOR") and environ.get("CLICOLOR") != "0"


class Terminal:
    """What this terminal can do, from terminfo; ``remark`` is a line to tell the user, or empty."""

    def __init__(self, name: str, fd: int) -> None:
        self.remark = ""
        self.name = name
        self._known = self._set_up(name, fd)
        self.cup = self._get("cup")
        self.clear = self._get("clear")
        self.el = self._get("el")
        self.normal = self._get("sgr0")
        self.letters = {
            "b": self._get("bold"),
            "d": self._get("dim"),
            "r": self._get("rev"),
            "u": self._get("smul"),
        }
        self.enter = self._get("smcup") + self._get("smkx") + self._get("rmam")
        self.leave = self._get("smam") + self._get("rmkx") + self._get("rmcup")
        self.wraps = not self._get("rmam")  # then the last cell would scroll the page
        self.show = self._get("cnorm")
        self.hide = self._get("civis")
        self.bell = self._get("bel") or b"\x07"
        self.setaf = self._get("setaf")
        self.setab = self._get("setab")
        self.colours = curses.tigetnum("colors") if self._known else 0
        known = self.name.startswith(TITLED)
        self.titled = known
        self.brackets = not self.name.startswith(UNBRACKETED)

    def _set_up(self, name: str, fd: int) -> bool:
        """Load the description; False when the built-in ANSI sequences have to do."""
        for candidate in (name, FALLBACK):
            try:
                curses.setupterm(candidate or "unknown", fd)
            except curses.error:
                continue
            known = bool(curses.tigetstr("cup"))  # a terminal that cannot place its cursor is none
            if known and candidate == name:
                return True
            self.remark = f'terminal type "{name[:20]}" is not known here: treated as a VT100'
            self.name = FALLBACK
            return known
        self.remark = f'terminal type "{name[:20]}" is not known here: plain ANSI is used'
        self.name = FALLBACK
        return False

    def _get(self, capability: str) -> bytes:
        if self._known:
            return _strip(curses.tigetstr(capability))
        return ANSI.get(capability, b"")

    def move(self, x: int, y: int) -> bytes:
        """Return what puts the cursor at a cell."""
        if self._known:
            return curses.tparm(self.cup, y, x)
        return b"\x1b[%d;%dH" % (y + 1, x + 1)

    def looks(self, *, colour: bool) -> dict[str, bytes]:
        """Return what to print before text of each attribute."""
        looks = {}
        for name in STYLES:
            letters, number = style(name)
            look = self.normal + b"".join(self.letters[letter] for letter in letters)
            if colour and number >= 0 and self.setaf and self.colours >= 8:
                look += curses.tparm(self.setaf, number)
                if name in BACKGROUNDS and self.setab:
                    look += curses.tparm(self.setab, BACKGROUNDS[name])
            looks[name] = look
        return looks


def _strip(capability: bytes | None) -> bytes:
    """Take out the padding that terminfo asks of serial lines: ``$<5>``."""
    text = capability or b""
    while (start := text.find(b"$<")) >= 0 and (end := text.find(b">", start)) >= 0:
        text = text[:start] + text[end + 1 :]
    return text


class Screen:
    """The terminal while the client has it.

    ``on_resize`` is called inside signal handlers when ``read_keys`` has something to say.
    ``closed`` is True once the terminal is gone.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        source: int = 0,
        target: int = 1,
        encoding: str = "utf-8",
    ) -> None:
        self.on_resize: Callable[[], None] | None = None
        self.closed = False
        self._source = source
        self._target = target
        self._encoding = encoding
        self.terminal = Terminal(environ.get("TERM", ""), target)
        self.remarks = [self.terminal.remark] if self.terminal.remark else []
        self._colour = wants_colour(environ)
        self._coloured = True
        self._looks = self.terminal.looks(colour=self._colour)
        self._parser = KeyParser(encoding)
        self._saved: list[Any] | None = None
        self._running = False
        self._shown: Canvas | None = None
        self._size = (0, 0)
        self._resized = False
        self._title = ""
        self._pasted_at = -1.0
        self._early = b""
        self._handlers: dict[int, Any] = {}

    # -- taking and giving back the terminal -------------------------------------------------------

    def start(self) -> None:
        """Take the terminal: raw keys, own page; keys typed before are kept for ``read_keys``."""
        if self._running:
            return
        try:
            self._saved = termios.tcgetattr(self._source)
            termios.tcsetattr(self._source, termios.TCSADRAIN, _raw(self._saved))
        except termios.error:
            self._saved = None
        # What was typed before: an Enter at its end was turned into a line feed by the terminal
        # driver, and is dropped; the text waits in the input for the Enter that is meant for it.
        self._early += self._read().rstrip(b"\n")
        self._running = True
        self._shown = None
        self._title = ""
        self._size = self.size()
        title = b"\x1b[22;2t" if self.terminal.titled else b""
        self._write(self.terminal.enter + ON + title + self.terminal.clear)
        atexit.register(self.stop)

    def arm(self) -> None:
        """Listen to signals and crashes: after the first paint, because signal is slow to import."""
        import signal

        for number, handler in (
            (signal.SIGWINCH, self._on_winch),
            (signal.SIGCONT, self._on_cont),
            (signal.SIGTSTP, self._on_stop),
        ):
            self._handlers[number] = signal.signal(number, handler)
        hook = sys.excepthook

        def crash(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self.stop()
            hook(kind, error, trace)

        sys.excepthook = crash

    def stop(self) -> None:
        """Give the terminal back as it was; may be called at any time, twice, and from atexit."""
        if not self._running:
            return
        self._running = False
        terminal = self.terminal
        title = b"\x1b[23;2t" if terminal.titled else b""
        last = terminal.move(0, max(0, self._size[1] - 1)) if not terminal.leave else b""
        self._write(terminal.normal + OFF + title + terminal.show + last + terminal.leave)
        if self._saved is not None:
            try:
                termios.tcsetattr(self._source, termios.TCSADRAIN, self._saved)
            except termios.error:
                self.closed = True
        atexit.unregister(self.stop)

    def suspend(self) -> None:
        """Stop the process until the shell continues it, and paint everything anew then."""
        import signal

        self.stop()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        self.start()
        self._notify()

    def _notify(self) -> None:
        if self.on_resize is not None:
            self.on_resize()

    def _on_winch(self, _number: int, _frame: FrameType | None) -> None:
        self._resized = True
        self._notify()

    def _on_cont(self, _number: int, _frame: FrameType | None) -> None:
        if self._running:  # stopped from outside: the shell had the terminal meanwhile
            self._running = False
            self.start()
            self._notify()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.suspend()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when keys come."""
        return self._source

    def size(self) -> tuple[int, int]:
        """Return the columns and rows that the terminal has now."""
        try:
            width, height = os.get_terminal_size(self._target)
        except OSError:
            return 80, 24
        return (width, height) if width > 0 and height > 0 else (80, 24)

    # -- keys ----------------------------------------------------------------------------------------

    @property
    def key_wait(self) -> float | None:
        """Seconds of silence after which to call ``flush_keys``; None when nothing is unfinished."""
        return self._parser.wait

    def read_keys(self) -> list[Input]:
        """Return what came from the terminal without waiting, a new size first."""
        found: list[Input] = []
        if self._resized:
            # Also at the size it had: it may have been smaller in between, and lost cells then.
            self._resized = False
            self.repaint()
        size = self.size()
        if size != self._size:
            self._size = size
            found.append(Resize(*size))
        if self._early:
            early, self._early = self._early, b""
            found += self._parser.feed(early)
        for _ in range(READS):
            data = self._read()
            if not data:
                break
            found += self._parser.feed(self._guard(data))
        return found

    def flush_keys(self) -> list[Input]:
        """Return what was unfinished: a lone Esc, for one."""
        return self._parser.flush()

    def _read(self) -> bytes:
        if self.closed:
            return b""
        try:
            if not select.select([self._source], [], [], 0)[0]:
                return b""
            data = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, ValueError):
            data = b""
        self.closed = not data
        return data

    def _guard(self, data: bytes) -> bytes:
        """Bracket what must be a paste where the terminal does not: its lines shall not be sent."""
        if self.terminal.brackets or b"\x1b" in data:
            return data
        now = time.monotonic()
        many = data.count(b"\r") > 1 and len(data) > 2 * data.count(b"\r")
        if many or (now - self._pasted_at < PASTE_GAP and b"\r" in data):
            self._pasted_at = now
            return b"\x1b[200~" + data + b"\x1b[201~"
        return data

    # -- painting ------------------------------------------------------------------------------------

    def paint(self, canvas: Canvas, title: str = "") -> None:
        """Bring the terminal from the page it shows to this one, in one write."""
        if not self._running:
            return
        old = self._shown
        data = bytearray()
        if old is None or (old.width, old.height) != (canvas.width, canvas.height):
            data += self.terminal.normal + self.terminal.clear
            old = None
        spans = diff(old, canvas)
        if spans or old is None or old.cursor != canvas.cursor:
            if spans:
                data += self.terminal.hide
            for span in spans:
                self._span(data, span, canvas)
            data += self.terminal.normal
            if canvas.cursor is not None:
                data += self.terminal.move(*canvas.cursor) + self.terminal.show
            else:
                data += self.terminal.hide
        if title != self._title and self.terminal.titled:
            self._title = title
            plain = "".join(c for c in title if c.isprintable())
            data += b"\x1b]2;" + plain.encode(self._encoding, "replace") + b"\x07"
        self._shown = canvas
        if data:
            self._write(bytes(data))

    def _span(self, data: bytearray, span: Span, canvas: Canvas) -> None:
        cells, x, y = span.cells, span.x, span.y
        if self.terminal.wraps and y == canvas.height - 1 and x + len(cells) == canvas.width:
            cells = cells[:-1]
        data += self.terminal.move(x, y)
        look = ""
        text: list[str] = []
        for n, (glyph, attr) in enumerate(cells):
            if attr != look:
                self._flush(data, text)
                data += self._looks.get(attr, self.terminal.normal)
                look = attr
            if glyph == TAIL:
                continue
            text.append(glyph)
            if is_risky(glyph):
                self._flush(data, text)
                following = n + shown(glyph)[1]
                if x + following < canvas.width:
                    data += self.terminal.move(x + following, y)
        self._flush(data, text)

    def _flush(self, data: bytearray, text: list[str]) -> None:
        joined = "".join(text)
        text.clear()
        try:
            data += joined.encode(self._encoding)
        except UnicodeEncodeError:
            for character in joined:
                try:
                    data += character.encode(self._encoding)
                except UnicodeEncodeError:
                    data += b"?"

    def repaint(self) -> None:
        """Forget what the terminal shows: the next paint prints everything."""
        self._shown = None

    def perform(self, effect: Effect) -> bool:
        """Do an effect that concerns the terminal; False when it is somebody else's."""
        if isinstance(effect, Bell):
            self._write(self.terminal.bell)
        elif isinstance(effect, Copy):
            self.copy(effect.text)
        elif isinstance(effect, Repaint):
            self.repaint()
        elif isinstance(effect, Suspend):
            self.suspend()
        else:
            return False
        return True

    def use_colour(self, *, wanted: bool) -> None:
        """Paint with colours or without, if the environment has not decided already."""
        if wanted != self._coloured:
            self._coloured = wanted
            self._looks = self.terminal.looks(colour=self._colour and wanted)
            self.repaint()

    def copy(self, text: str) -> None:
        """Put a text into the terminal's clipboard (OSC 52), cut to what terminals take."""
        from binascii import b2a_base64

        data = text.encode("utf-8", "replace")[:CLIPBOARD_BYTES]
        self._write(b"\x1b]52;c;" + b2a_base64(data, newline=False) + b"\x07")

    def _write(self, data: bytes) -> None:
        """Write everything, waiting while the terminal is slow; a terminal that is gone closes."""
        while data and not self.closed:
            try:
                data = data[os.write(self._target, data) :]
            except BlockingIOError:
                select.select([], [self._target], [], 1.0)
            except OSError:
                self.closed = True


def _raw(attributes: list[Any]) -> list[Any]:
    """Return terminal attributes for raw input: every key is ours, also Ctrl-C, Ctrl-S and Ctrl-Z."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = attributes
    iflag &= ~(
        termios.BRKINT
        | termios.ICRNL
        | termios.INLCR
        | termios.IGNCR
        | termios.INPCK
        | termios.ISTRIP
        | termios.IXON
    )
    cflag |= termios.CS8
    lflag &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, characters]
