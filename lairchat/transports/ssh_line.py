"""Turns what a terminal sends into keys, and keys into the line that is being typed.

Pure: bytes and keys in, text and cursor out.  A line is shown on one row of the screen, whose part
around the cursor is drawn, so that no terminal's idea of wrapping matters.
"""

import codecs
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from wcwidth import wcswidth, wcwidth

from lairchat.model import limits
from lairchat.model.text import display_safe

_CELL_CHARS = 2
"""characters: so many share a cell in what people type; of more not all are shown at once."""
ESCAPE_CHARS = 32
"""characters: a longer escape sequence is none; what it holds is dropped."""

_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_SEQUENCES = {
    "[A": "up", "OA": "up", "[B": "down", "OB": "down",
    "[C": "right", "OC": "right", "[D": "left", "OD": "left",
    "[H": "home", "OH": "home", "[1~": "home", "[7~": "home",
    "[F": "end", "OF": "end", "[4~": "end", "[8~": "end",
    "[3~": "delete", "[1;5C": "word-right", "[1;5D": "word-left",
    "[1;3C": "word-right", "[1;3D": "word-left",
    "b": "word-left", "f": "word-right", "d": "kill-word", "\x7f": "kill-word-before",
}  # fmt: skip
_CONTROLS = {
    "\x01": "home", "\x02": "left", "\x03": "interrupt", "\x04": "end-of-input", "\x05": "end",
    "\x06": "right", "\x08": "backspace", "\x09": "tab", "\x0a": "enter", "\x0b": "kill-end",
    "\x0c": "clear", "\x0d": "enter", "\x0e": "down", "\x10": "up", "\x15": "kill-start",
    "\x17": "kill-word-before", "\x19": "yank", "\x7f": "backspace",
}  # fmt: skip


class Key(NamedTuple):
    """One thing that was typed.

    name: of the key; "text" for characters.  text: those characters, none of them a control.
    """

    name: str
    text: str = ""


class Keys:
    """Reads keys from bytes, however they are cut into pieces."""

    __slots__ = ("_decoder", "_escape", "_pasted")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._escape = ""
        self._pasted: list[str] | None = None

    def feed(self, data: bytes) -> list[Key]:
        """Return the keys that these bytes complete."""
        found: list[Key] = []
        for char in self._decoder.decode(data):
            key = self._paste(char) if self._pasted is not None else self._key(char)
            if key is not None:
                found.append(key)
        return found

    def _key(self, char: str) -> Key | None:
        if self._escape:
            return self._escaped(char)
        if char == "\x1b":
            self._escape = char
            return None
        if char in _CONTROLS:
            return Key(_CONTROLS[char])
        return Key("text", char) if char.isprintable() else None

    def _escaped(self, char: str) -> Key | None:
        """Go on with an escape sequence (ECMA-48, 5.4): it ends with a character from @ to ~."""
        if char < " ":  # a control cuts it short
            self._escape = ""
            return self._key(char)
        self._escape += char
        body = self._escape[1:]
        if body in {"[", "O"}:
            return None
        unfinished = body[0] == "[" and not "@" <= char <= "~"
        if unfinished and len(body) < ESCAPE_CHARS:
            return None
        sequence, self._escape = self._escape, ""
        if sequence == _PASTE_BEGINS:
            self._pasted = []
        name = _SEQUENCES.get(body)
        return Key(name) if name is not None else None

    def _paste(self, char: str) -> Key | None:
        """Collect a paste: it is edited, and never run before Enter is pressed for it."""
        pasted = self._pasted
        assert pasted is not None
        pasted.append(char)
        if "".join(pasted[-len(_PASTE_ENDS) :]) != _PASTE_ENDS:
            del pasted[limits.OPERATOR_LINE_CHARS : -len(_PASTE_ENDS)]
            return None
        self._pasted = None
        words = "".join(pasted[: -len(_PASTE_ENDS)])[: limits.OPERATOR_LINE_CHARS].split()
        text = " ".join("".join(char for char in word if char.isprintable()) for word in words)
        return Key("text", text) if text else None


class Line:
    """The line that is being typed.

    text, cursor: the cursor stands before the character of this index.
    """

    __slots__ = ("_at", "_draft", "_history", "_killed", "cursor", "text")

    def __init__(self, history: list[str] | None = None) -> None:
        self.text = ""
        self.cursor = 0
        self._history = history if history is not None else []
        self._at = len(self._history)
        self._draft = ""
        self._killed = ""

    def press(self, key: Key) -> bool:
        """Do what an editing key does; False for keys that are not for editing."""
        edit = _EDITS.get(key.name)
        if edit is not None:
            edit(self)
        elif key.name == "text":
            self.insert(key.text)
        return edit is not None or key.name == "text"

    def _go(self, to: int) -> None:
        self.cursor = min(max(0, to), len(self.text))

    def insert(self, text: str) -> None:
        """Put characters at the cursor, as many as a line may have."""
        text = text[: max(0, limits.OPERATOR_LINE_CHARS - len(self.text))]
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def replace(self, start: int, text: str) -> None:
        """Put characters in the place of those from ``start`` to the cursor."""
        self._cut(start, self.cursor)
        self.insert(text)

    def take(self) -> str:
        """Return the line as it was typed, remember it, and begin an empty one."""
        text = self.text
        if text.strip() and self._history[-1:] != [text]:
            self._history.append(text)
            del self._history[: -limits.SSH_HISTORY]
        self.clear()
        return text

    def clear(self) -> None:
        """Begin an empty line."""
        self.text, self.cursor, self._draft = "", 0, ""
        self._at = len(self._history)

    def _recall(self, at: int) -> None:
        """Show another line of the history; below the newest is what was being typed."""
        if not 0 <= at <= len(self._history):
            return
        if self._at == len(self._history):
            self._draft = self.text
        self._at = at
        self.text = self._draft if at == len(self._history) else self._history[at]
        self.cursor = len(self.text)

    def _cut(self, start: int, end: int) -> None:
        self.text = self.text[: max(0, start)] + self.text[end:]
        self._go(start)

    def _kill(self, start: int, end: int) -> None:
        if start < end:
            self._killed = self.text[start:end]
            self._cut(start, end)

    def _word_start(self) -> int:
        at = self.cursor
        while at and not self.text[at - 1].isalnum():
            at -= 1
        while at and self.text[at - 1].isalnum():
            at -= 1
        return at

    def _word_end(self) -> int:
        at = self.cursor
        while at < len(self.text) and not self.text[at].isalnum():
            at += 1
        while at < len(self.text) and self.text[at].isalnum():
            at += 1
        return at

    def shown(self, prompt: str, columns: int) -> tuple[str, int]:
        """Return the row to draw, prompt included, and the column of the cursor on it.

        What does not fit is left out, with < and > where it is.
        """
        room = max(4, columns - 1 - _width(prompt))
        start, end = self._window(room)
        before = display_safe(self.text[start : self.cursor])
        after = display_safe(self.text[self.cursor : end])
        left, right = "<" if start else "", ">" if end < len(self.text) else ""
        row = f"{prompt}{left}{before}{after}{right}"
        return row, _width(prompt) + len(left) + _width(before)

    def _window(self, room: int) -> tuple[int, int]:
        """Return what of the text is shown: all of it, or what is around the cursor."""
        # A line is drawn for every key: only what could be seen of it is looked at.
        low = max(0, self.cursor - room * _CELL_CHARS)
        high = min(len(self.text), self.cursor + room * _CELL_CHARS)
        widths = [_cells(char) for char in self.text[low:high]]
        if len(widths) == len(self.text) and sum(widths) <= room:
            return low, high
        room -= 2  # the marks
        start = end = self.cursor
        while start > low and widths[start - 1 - low] <= room:
            start -= 1
            room -= widths[start - low]
        while end < high and widths[end - low] <= room:
            room -= widths[end - low]
            end += 1
        return start, end


_EDITS: dict[str, Callable[[Line], None]] = {
    "left": lambda line: line._go(line.cursor - 1),
    "right": lambda line: line._go(line.cursor + 1),
    "home": lambda line: line._go(0),
    "end": lambda line: line._go(len(line.text)),
    "word-left": lambda line: line._go(line._word_start()),
    "word-right": lambda line: line._go(line._word_end()),
    "backspace": lambda line: line._cut(line.cursor - 1, line.cursor),
    "delete": lambda line: line._cut(line.cursor, line.cursor + 1),
    "kill-end": lambda line: line._kill(line.cursor, len(line.text)),
    "kill-start": lambda line: line._kill(0, line.cursor),
    "kill-word": lambda line: line._kill(line.cursor, line._word_end()),
    "kill-word-before": lambda line: line._kill(line._word_start(), line.cursor),
    "yank": lambda line: line.insert(line._killed),
    "up": lambda line: line._recall(line._at - 1),
    "down": lambda line: line._recall(line._at + 1),
}
"""What each editing key does."""


@lru_cache(maxsize=1_024)
def _cells(char: str) -> int:
    return max(0, wcwidth(display_safe(char)))


def _width(text: str) -> int:
    return max(0, wcswidth(display_safe(text)))
