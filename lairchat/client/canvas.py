"""A page of terminal cells that the view fills and the screen paints.

``put`` keeps runs of text, not cells: most rows of most pages are the same as on the page before, and
comparing runs settles that without looking at any cell.
Attributes are names (``title``, ``nick``, ``error``); what they look like is the screen's business,
and no meaning rests on them alone.
"""

from __future__ import annotations

from lairchat.client.markup import cells, clip, is_simple, shown, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    Run = tuple[int, str, int, str]
    Cell = tuple[str, str]

__all__ = ["BLANK", "Canvas", "Span", "diff", "is_risky"]

BLANK = (" ", "normal")
TAIL = ""  # the second cell of a wide cluster
GAP = 6  # equal cells between two changes that cost less to print again than to jump over


class Canvas:
    """Rows of runs; ``cursor`` is where typing goes, None to hide it."""

    __slots__ = ("cursor", "height", "rows", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.rows: list[list[Run]] = [[] for _ in range(height)]
        self.cursor: tuple[int, int] | None = None

    def put(self, x: int, y: int, text: str, attr: str = "normal", room: int | None = None) -> int:
        """Put a text at a cell, at most ``room`` cells wide; returns the cell behind it.

        What lies outside the page is cut off; later runs cover earlier ones.
        """
        left = self.width - x if room is None else min(room, self.width - x)
        if x < 0 or not 0 <= y < self.height or left <= 0 or not text:
            return x
        if is_simple(text):
            if len(text) > left:
                text = text[:left]
            size = len(text)
        else:
            text = clip(text, left)
            size = width(text)
        self.rows[y].append((x, text, size, attr))
        return x + size

    def fill(self, x: int, y: int, room: int, attr: str = "normal", glyph: str = " ") -> None:
        """Put ``room`` times the same character."""
        self.put(x, y, glyph * min(room, self.width), attr)

    def cells(self, y: int) -> list[Cell]:
        """Return the row as one (text, attribute) per cell; a wide cluster's second is empty."""
        row: list[Cell] = [BLANK] * self.width
        for x, text, size, attr in self.rows[y]:
            _uncover(row, x, x + size)
            if size == len(text) and is_simple(text):
                row[x : x + size] = [(character, attr) for character in text]
                continue
            at = x
            for glyph, room in cells(text):
                row[at] = (glyph, attr)
                for tail in range(at + 1, at + room):
                    row[tail] = (TAIL, attr)
                at += room
        return row

    def line(self, y: int) -> str:
        """Return the row's text, as wide as the page."""
        return "".join(glyph for glyph, _ in self.cells(y))

    def lines(self) -> list[str]:
        """Return all rows' texts."""
        return [self.line(y) for y in range(self.height)]

    def attrs(self) -> set[str]:
        """Return the attribute names in use."""
        return {attr for row in self.rows for _, _, _, attr in row}


class Span:
    """Cells to print from a position on."""

    __slots__ = ("cells", "x", "y")

    def __init__(self, y: int, x: int, cells: list[Cell]) -> None:
        self.y = y
        self.x = x
        self.cells = cells


def _uncover(row: list[Cell], start: int, end: int) -> None:
    """Blank the halves of wide clusters that a new run cuts through."""
    at = start
    while at > 0 and row[at][0] == TAIL:
        at -= 1
        row[at] = (" ", row[at][1])
    at = end
    while at < len(row) and row[at][0] == TAIL:
        row[at] = (" ", row[at][1])
        at += 1


def is_risky(glyph: str) -> bool:
    """Tell whether terminals disagree about the cells of a cluster.

    Behind such a cluster the cursor is placed anew, and its row is printed to the end, so that a
    terminal that measures differently cannot shift or leave behind anything.
    """
    return not glyph.isascii() and (len(glyph) > 1 or glyph >= "\u1100" or shown(glyph)[1] != 1)


def diff(old: Canvas | None, new: Canvas) -> list[Span]:
    """Return what to print over the old page, None for an empty terminal, to get the new one."""
    same = old is not None and old.width == new.width and old.height == new.height
    spans: list[Span] = []
    for y in range(new.height):
        if old is not None and same:
            if old.rows[y] == new.rows[y]:
                continue
            before = old.cells(y)
            disputed = _not_ascii(old.rows[y]) or _not_ascii(new.rows[y])
        else:
            before = [BLANK] * new.width
            disputed = _not_ascii(new.rows[y])
        _compare(y, before, new.cells(y), spans, disputed=disputed)
    return spans


def _not_ascii(runs: list[Run]) -> bool:
    return not all(text.isascii() for _, text, _, _ in runs)


def _compare(
    y: int, before: list[Cell], after: list[Cell], spans: list[Span], *, disputed: bool
) -> None:
    changed = [x for x, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    if not changed:
        return
    if disputed:
        for x in range(len(after)):
            if is_risky(before[x][0]) or is_risky(after[x][0]):
                first = _lead(after, min(changed[0], x))
                spans.append(Span(y, first, after[first:]))
                return
    start = end = changed[0]
    for x in changed[1:]:
        if x - end > GAP:
            spans.append(Span(y, start, after[start : end + 1]))
            start = x
        end = x
    spans.append(Span(y, start, after[start : end + 1]))


def _lead(row: list[Cell], x: int) -> int:
    while x > 0 and row[x][0] == TAIL:
        x -= 1
    return x
