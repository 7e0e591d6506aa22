"""Turns the bytes that a terminal sends into keys, text and pastes; any bytes, without an error.

Key names are lower case with modifiers in this order: ``ctrl-alt-shift-left``.
Sequences: ECMA-48 (CSI, SS3), xterm's modifiers and bracketed paste, the "CSI u" form of kitty and
others, the Linux console and rxvt where they differ.
"""

from __future__ import annotations

import codecs

from lairchat.client.inputs import Focus, Input, Key, Paste, Text

__all__ = ["ESCAPE_SECONDS", "PASTE_SECONDS", "KeyParser"]

ESCAPE_SECONDS = 0.025
"""After this much silence an escape byte was the Esc key."""
PASTE_SECONDS = 2.0
"""After this much silence a paste whose end got lost is over; sooner, and a slow line would turn
the rest of a paste into typed lines."""
SEQUENCE_CHARS = 64  # longest sequence that is waited for; no key has a longer one
REPLY_CHARS = 4_096  # longest string (OSC, DCS) that a terminal may answer
CHUNK_BYTES = 4_096  # bytes taken at a time, so that the cost stays linear
PASTE_CHARS = 8 * 1_048_576  # a paste is split here, so that memory is bounded

ESC = "\x1b"
PASTE_END = "\x1b[201~"

LETTERS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
LETTERS |= {"P": "f1", "Q": "f2", "R": "f3", "S": "f4", "E": "center"}
NUMBERS = {1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pgup", 6: "pgdn", 7: "home"}
NUMBERS |= {8: "end", 11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7"}
NUMBERS |= {19: "f8", 20: "f9", 21: "f10", 23: "f11", 24: "f12"}
RXVT = {"a": "ctrl-up", "b": "ctrl-down", "c": "ctrl-right", "d": "ctrl-left"}
KEYPAD = {"M": "enter", "j": "*", "k": "+", "l": ",", "m": "-", "n": ".", "o": "/", "X": "="}
KEYPAD |= {chr(ord("p") + digit): str(digit) for digit in range(10)}
NAMED = {"\r": "enter", "\t": "tab", "\x7f": "backspace", "\0": "ctrl-space", ESC: "esc"}
NAMED |= {"\x1c": "ctrl-\\", "\x1d": "ctrl-]", "\x1e": "ctrl-^", "\x1f": "ctrl-_"}
NAMED |= {chr(code): f"ctrl-{chr(code + 96)}" for code in range(1, 27) if code not in {9, 13}}
CODES = {9: "tab", 13: "enter", 27: "esc", 32: "space", 127: "backspace"}


class KeyParser:
    """Incremental: ``feed`` bytes as they come, ``flush`` when ``wait`` seconds passed in silence."""

    __slots__ = ("_buffer", "_decoder", "_pasting", "_size")

    def __init__(self, encoding: str = "utf-8") -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._buffer = ""
        self._pasting: list[str] | None = None
        self._size = 0

    @property
    def wait(self) -> float | None:
        """Seconds of silence after which to call ``flush``; None when nothing is unfinished."""
        if self._pasting is not None:
            return PASTE_SECONDS
        return ESCAPE_SECONDS if self._buffer else None

    def feed(self, data: bytes) -> list[Input]:
        """Return the inputs that are complete."""
        found: list[Input] = []
        for start in range(0, len(data), CHUNK_BYTES):
            self._buffer += self._decoder.decode(data[start : start + CHUNK_BYTES])
            while self._buffer:
                used = self._paste(found) if self._pasting is not None else self._next(found)
                if used == 0:
                    break
                self._buffer = self._buffer[used:]
        return found

    def flush(self) -> list[Input]:
        """Take what is unfinished for what it is: a lone Esc, an Alt key, a paste without end."""
        found: list[Input] = []
        if self._pasting is not None:
            self._pasting.append(self._buffer)
            self._buffer = ""
            self._finish_paste(found)
            return found
        buffer, self._buffer = self._buffer, ""
        if buffer == ESC:
            return [Key("esc")]
        if len(buffer) == 2:
            return [Key(f"alt-{_name(buffer[1])}")]
        return found  # half a sequence: no key, and its rest would only look like text

    # -- one piece at a time: each returns the characters used, 0 to wait for more -----------------

    def _next(self, found: list[Input]) -> int:
        buffer = self._buffer
        if buffer[0] == ESC:
            return self._escape(found)
        end = 0
        while end < len(buffer) and _is_text(buffer[end]):
            end += 1
        if end:
            found.append(Text(buffer[:end]))
            return end
        name = NAMED.get(buffer[0])
        if name is not None:
            found.append(Key(name))
        return 1  # a C1 control is nobody's key

    def _escape(self, found: list[Input]) -> int:
        buffer = self._buffer
        if len(buffer) == 1:
            return 0
        if buffer[1] == "[":
            return self._csi(found, 2, "")
        if buffer[1] == "O":
            return self._ss3(found)
        if buffer[1] in "]PX^_":
            return self._string()
        if buffer[1] == ESC:
            return self._double(found)
        found.append(Key(f"alt-{_name(buffer[1])}"))
        return 2

    def _double(self, found: list[Input]) -> int:
        """Read Esc before a sequence: Alt with that key, as rxvt and others send it."""
        if len(self._buffer) == 2:
            return 0
        if self._buffer[2] == "[":
            return self._csi(found, 3, "alt-")
        found.append(Key("esc"))
        return 1

    def _ss3(self, found: list[Input]) -> int:
        if len(self._buffer) == 2:
            return 0
        letter = self._buffer[2]
        if letter in LETTERS:
            found.append(Key(LETTERS[letter]))
        elif letter in RXVT:
            found.append(Key(RXVT[letter]))
        elif letter in KEYPAD:
            name = KEYPAD[letter]
            found.append(Key(name) if len(name) > 1 else Text(name))
        else:
            found.append(Key("alt-o"))
            return 2
        return 3

    def _string(self) -> int:
        """Skip a string that a terminal sent in answer to something."""
        ends = [
            end + len(mark)
            for mark in ("\x07", "\x1b\\")
            if (end := self._buffer.find(mark, 2)) > 0
        ]
        if ends:
            return min(ends)
        return len(self._buffer) if len(self._buffer) > REPLY_CHARS else 0

    def _csi(self, found: list[Input], start: int, prefix: str) -> int:
        buffer = self._buffer
        end = start
        if buffer[end : end + 1] == "[":  # Linux console: ESC [ [ A
            if len(buffer) < end + 2:
                return 0
            if "A" <= buffer[end + 1] <= "E":
                found.append(Key(f"{prefix}f{ord(buffer[end + 1]) - 64}"))
            return end + 2
        while end < len(buffer) and "\x20" <= buffer[end] <= "\x3f":
            end += 1
        if end - start > SEQUENCE_CHARS:
            return start + SEQUENCE_CHARS
        if end == len(buffer):
            return 0
        final, parameters = buffer[end], buffer[start:end]
        if not "\x40" <= final <= "\x7e":
            return end  # broken off by something else, which is read next
        self._control(found, prefix, parameters, final)
        return end + 1

    def _control(self, found: list[Input], prefix: str, parameters: str, final: str) -> None:
        if final in "IO" and not parameters:
            found.append(Focus(final == "I"))
            return
        if final == "Z":
            found.append(Key(f"{prefix}shift-tab"))
            return
        numbers = [_number(part) for part in parameters.split(";")]
        if final == "~" and numbers[0] == 200:
            self._pasting = []
        elif final == "~" and numbers[0] == 27 and len(numbers) == 3:
            _coded(found, numbers[2], numbers[1])
        elif final == "u":
            _coded(found, numbers[0], numbers[1] if len(numbers) > 1 else 1)
        else:
            name = NUMBERS.get(numbers[0]) if final == "~" else LETTERS.get(final)
            if name is not None:
                modifiers = numbers[1] if len(numbers) > 1 else 1
                found.append(Key(_modified(prefix, modifiers) + name))

    def _paste(self, found: list[Input]) -> int:
        buffer, parts = self._buffer, self._pasting
        assert parts is not None
        end = buffer.find(PASTE_END)
        if end >= 0:
            parts.append(buffer[:end])
            self._finish_paste(found)
            return end + len(PASTE_END)
        keep = next(
            (n for n in range(len(PASTE_END) - 1, 0, -1) if buffer.endswith(PASTE_END[:n])), 0
        )
        taken = len(buffer) - keep
        parts.append(buffer[:taken])
        self._size += taken
        if self._size > PASTE_CHARS:
            self._finish_paste(found)
            self._pasting = []
        return taken

    def _finish_paste(self, found: list[Input]) -> None:
        found.append(Paste("".join(self._pasting or ())))
        self._pasting = None
        self._size = 0


def _is_text(character: str) -> bool:
    return character >= " " and not "\x7f" <= character <= "\x9f"


def _name(character: str) -> str:
    return NAMED.get(character) or (character == " " and "space") or character.lower()


def _number(part: str) -> int:
    digits = part.partition(":")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 8 else 1


def _modified(prefix: str, modifiers: int) -> str:
    bits = modifiers - 1
    ctrl = "ctrl-" if bits & 4 else ""
    alt = "alt-" if bits & 2 or prefix else ""
    return ctrl + alt + ("shift-" if bits & 1 else "")


def _coded(found: list[Input], code: int, modifiers: int) -> None:
    """Read a key that is sent as its Unicode number with modifiers."""
    bits = modifiers - 1
    if code in CODES:
        name = CODES[code]
    elif 32 < code < 0xD800 or 0xF900 <= code < 0x110000:
        if not bits & 6:
            found.extend([Text(chr(code))] if _is_text(chr(code)) else [])
            return
        name = chr(code).lower()
        modifiers = (bits & 6) + 1
    else:
        return  # a lone modifier or a media key
    if name == "space" and not bits & 6:
        found.append(Text(" "))
    else:
        found.append(Key(_modified("", modifiers) + name))
