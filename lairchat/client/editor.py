"""Edits the text that is being typed, on grapheme clusters, with the keys of readline.

Offsets are code points and always stand between two clusters.
A text may grow past what a message may hold (a paste of ten thousand lines): nothing typed is ever
thrown away, sending is what is refused.
"""

from __future__ import annotations

from lairchat.client.markup import cluster_end, cluster_start, pieces, width

__all__ = ["Editor", "History", "Kills", "Window", "clean_paste"]

KILLS = 32
HISTORY = 500
LONG_LINE = 4_096  # code points around the cursor that are laid out of one endless line

_DROPPED = dict.fromkeys([*range(0x20), 0x7F, *range(0x80, 0xA0)])
del _DROPPED[ord("\n")], _DROPPED[ord("\t")]


def clean_paste(text: str) -> str:
    """Return pasted text with line feeds as line ends and without control characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_DROPPED)


class Kills:
    """The kill ring, shared by all inputs; the newest is last."""

    __slots__ = ("joins", "ring")

    def __init__(self) -> None:
        self.ring: list[str] = []
        self.joins = False  # the last command was a kill too: kills in a row become one

    def add(self, text: str, *, before: bool) -> None:
        """Keep what was killed, joined to the previous kill when nothing came between."""
        if not text:
            return
        if self.joins and self.ring:
            self.ring[-1] = text + self.ring[-1] if before else self.ring[-1] + text
        else:
            self.ring.append(text)
            del self.ring[:-KILLS]
        self.joins = True


class History:
    """What was typed before, oldest first, shared by all inputs."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[str] = []

    def add(self, text: str) -> None:
        """Keep a text; repeats move to the end."""
        if not text.strip():
            return
        if text in self.entries:
            self.entries.remove(text)
        self.entries.append(text)
        del self.entries[:-HISTORY]


class Window:
    """The rows of an input that are on the screen, and the cursor in them."""

    __slots__ = ("above", "below", "rows", "x", "y")

    def __init__(self, rows: list[str], x: int, y: int, *, above: bool, below: bool) -> None:
        self.rows = rows
        self.x = x
        self.y = y
        self.above = above
        self.below = below


class Editor:
    """One input: its text, the cursor, and where in the history it stands.

    ``target``: the message of ours whose text this is, to be changed; 0 for a new one.
    """

    __slots__ = (
        "_goal",
        "_recalled",
        "_stash",
        "_yanked",
        "at",
        "history",
        "kills",
        "target",
        "text",
    )

    def __init__(self, kills: Kills | None = None, history: History | None = None) -> None:
        self.text = ""
        self.at = 0
        self.target = 0
        self.kills = kills if kills is not None else Kills()
        self.history = history if history is not None else History()
        self._goal: int | None = None  # column that up and down aim at
        self._recalled: int | None = None  # index of the history entry shown
        self._stash = ""  # what was typed before going back in history
        self._yanked: tuple[int, int] | None = None  # (start, index in the ring) of the last yank

    def __repr__(self) -> str:
        return f"Editor({len(self.text)} characters, cursor {self.at})"

    # -- content ---------------------------------------------------------------------------------

    def set(self, text: str) -> None:
        """Replace everything, cursor at the end."""
        self.text = text
        self.at = len(text)
        self.target = 0
        self._settle()
        self._recalled = None

    def take(self) -> str:
        """Return the text and empty the input; what was typed before going back is not lost."""
        if self._recalled is not None:
            self.history.add(self._stash)
        text = self.text
        self.set("")
        return text

    def insert(self, text: str) -> None:
        """Put text at the cursor."""
        self.text = self.text[: self.at] + text + self.text[self.at :]
        self.at += len(text)
        self._settle()

    def replace(self, start: int, end: int, text: str) -> None:
        """Put text in place of a range, cursor behind it."""
        self.text = self.text[:start] + text + self.text[end:]
        self.at = start + len(text)
        self._settle()

    def _settle(self) -> None:
        self._goal = None
        self._yanked = None
        self.kills.joins = False

    def _move(self, at: int) -> None:
        self.at = at
        self._settle()

    # -- moving ----------------------------------------------------------------------------------

    def left(self) -> None:
        """Go back one character."""
        self._move(cluster_start(self.text, self.at))

    def right(self) -> None:
        """Go on one character."""
        self._move(cluster_end(self.text, self.at))

    def word_left(self) -> None:
        """Go to the beginning of this or the previous word."""
        self._move(self._word_start())

    def word_right(self) -> None:
        """Go behind this or the next word."""
        self._move(self._word_end())

    def home(self) -> None:
        """Go to the beginning of the line."""
        self._move(self._line_start(self.at))

    def end(self) -> None:
        """Go to the end of the line."""
        self._move(self._line_end(self.at))

    def up(self) -> bool:
        """Go to the line above; False on the first line."""
        start = self._line_start(self.at)
        if start == 0:
            return False
        self._vertical(self._line_start(start - 1))
        return True

    def down(self) -> bool:
        """Go to the line below; False on the last line."""
        end = self._line_end(self.at)
        if end == len(self.text):
            return False
        self._vertical(end + 1)
        return True

    def _vertical(self, start: int) -> None:
        line_start = self._line_start(self.at)
        goal = self._goal if self._goal is not None else width(self.text[line_start : self.at])
        line = self.text[start : self._line_end(start)]
        first, _ = pieces(line, max(1, goal + 1), max(1, goal + 1))[0]
        at, used = first, 0
        while at < len(line):
            after = cluster_end(line, at)
            used += width(line[at:after])
            if used > goal:
                break
            at = after
        self._move(start + at)
        self._goal = goal

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _word_start(self) -> int:
        at = self.at
        while at > 0 and not _in_word(self.text[at - 1]):
            at -= 1
        while at > 0 and _in_word(self.text[at - 1]):
            at -= 1
        return at

    def _word_end(self) -> int:
        at, text = self.at, self.text
        while at < len(text) and not _in_word(text[at]):
            at += 1
        while at < len(text) and _in_word(text[at]):
            at = cluster_end(text, at)
        return at

    def _blank_word_start(self) -> int:
        at = self.at
        while at > 0 and self.text[at - 1].isspace():
            at -= 1
        while at > 0 and not self.text[at - 1].isspace():
            at -= 1
        return at

    # -- deleting --------------------------------------------------------------------------------

    def backspace(self) -> None:
        """Delete the character before the cursor."""
        self._delete(cluster_start(self.text, self.at), self.at)

    def delete(self) -> None:
        """Delete the character under the cursor."""
        self._delete(self.at, cluster_end(self.text, self.at))

    def kill_blank_word(self) -> None:
        """Kill back to the previous blank."""
        self._kill(self._blank_word_start(), self.at, before=True)

    def kill_word_left(self) -> None:
        """Kill back to the beginning of the word."""
        self._kill(self._word_start(), self.at, before=True)

    def kill_word_right(self) -> None:
        """Kill to the end of the word."""
        self._kill(self.at, self._word_end(), before=False)

    def kill_to_start(self) -> None:
        """Kill back to the beginning of the line."""
        start = self._line_start(self.at)
        self._kill(start if start < self.at else max(0, self.at - 1), self.at, before=True)

    def kill_to_end(self) -> None:
        """Kill to the end of the line; at its end, the line feed."""
        end = self._line_end(self.at)
        self._kill(self.at, end if end > self.at else min(len(self.text), end + 1), before=False)

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.at = start
        self._settle()

    def _kill(self, start: int, end: int, *, before: bool) -> None:
        killed, joins = self.text[start:end], self.kills.joins
        self._delete(start, end)
        self.kills.joins = joins
        self.kills.add(killed, before=before)

    def yank(self) -> None:
        """Put the last kill at the cursor."""
        if self.kills.ring:
            self._yank(self.at, len(self.kills.ring) - 1)

    def yank_older(self) -> None:
        """Right after a yank: put the kill before that one in its place."""
        if self._yanked is not None:
            start, index = self._yanked
            self.text = self.text[:start] + self.text[self.at :]
            self._yank(start, (index - 1) % len(self.kills.ring))

    def _yank(self, start: int, index: int) -> None:
        self.at = start
        self.insert(self.kills.ring[index])
        self._yanked = (start, index)

    # -- history ---------------------------------------------------------------------------------

    def recall_older(self) -> None:
        """Show the entry before; what was typed is kept for the way back."""
        index = self._leave_entry()
        if index == 0:
            return
        if self._recalled is None:
            self._stash = self.text
        self._show(index - 1)

    def recall_newer(self) -> None:
        """Show the entry after, behind the last one what had been typed."""
        if self._recalled is None:
            return
        self._show(self._leave_entry() + 1)

    def _leave_entry(self) -> int:
        """Return the index that is shown; an entry that was changed becomes one of its own."""
        entries = self.history.entries
        if self._recalled is None or self._recalled >= len(entries):
            return len(entries)
        shown = entries[self._recalled]
        if self.text == shown:
            return self._recalled
        self.history.add(self.text)
        return entries.index(shown) if shown in entries else 0

    def _show(self, index: int) -> None:
        entries = self.history.entries
        if index >= len(entries):
            self.set(self._stash)
        else:
            self.set(entries[index])
            self._recalled = index

    # -- layout ----------------------------------------------------------------------------------

    def lines(self) -> int:
        """Return the number of lines."""
        return self.text.count("\n") + 1

    def window(self, first: int, rest: int, most: int) -> Window:
        """Lay out at most ``most`` rows around the cursor.

        The first row of the text has ``first`` cells (the prompt stands before it), all others
        ``rest``. Costs as much as the rows shown, however long the text is.
        """
        start, end = self._line_start(self.at), self._line_end(self.at)
        low = max(start, cluster_start(self.text, self.at - LONG_LINE + 1))
        high = min(end, self.at + LONG_LINE)
        spans = self._spans(low, high, first if start == 0 else rest, rest)
        row = max(i for i, (begin, _) in enumerate(spans) if begin <= self.at)
        while row < most and start > 0:
            start, above_end = self._line_start(start - 1), start - 1
            above = self._spans(
                max(start, above_end - LONG_LINE), above_end, first if start == 0 else rest, rest
            )
            spans[:0] = above
            row += len(above)
        while len(spans) - row <= most and end < len(self.text):
            begin, end = end + 1, self._line_end(end + 1)
            spans += self._spans(begin, min(end, begin + LONG_LINE), rest, rest)
        top = max(0, min(row - most // 2, len(spans) - most))
        seen = spans[top : top + most]
        x = width(self.text[spans[row][0] : self.at])
        return Window(
            [self.text[a:b] for a, b in seen],
            x,
            row - top,
            above=top > 0 or spans[0][0] > 0,
            below=top + most < len(spans) or end < len(self.text),
        )

    def _spans(self, start: int, end: int, first: int, rest: int) -> list[tuple[int, int]]:
        return [(start + a, start + b) for a, b in pieces(self.text[start:end], first, rest)]


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_" or ord(character) > 0x2FF
