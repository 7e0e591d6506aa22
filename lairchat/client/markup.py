"""Measures, clips and wraps text in terminal cells, by grapheme cluster.

A cluster is what a person takes for one character; it is never split.
Text of printable ASCII, nearly all there is in a session, is measured by its length; the first other
text imports wcwidth (29 ms), which must not happen before the first paint.

Every cluster occupies at least one cell here: what a terminal would not show (a control byte, a lone
combining mark, a format character) is shown as ``?``, so that nothing invisible reaches the screen
even if ``display_safe`` was forgotten somewhere.
"""

from __future__ import annotations

import unicodedata

__all__ = [
    "cells",
    "clip",
    "cluster_end",
    "cluster_start",
    "clusters",
    "is_simple",
    "pad",
    "pieces",
    "shown",
    "width",
    "wrap",
]

UNSHOWN = "?"
TAB = "    "
CACHED_CLUSTERS = 4_096  # a hostile peer can send endless different clusters
WALK_BACK = 256  # code points; clusters beyond this length are cut: nobody types them

DRAWN_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)  # Arabic and other number signs: format characters that are drawn

_cells_of: dict[str, tuple[str, int]] = {}


def is_simple(text: str) -> bool:
    """Tell whether each character is one cell: printable ASCII only."""
    return text.isascii() and text.isprintable()


def clusters(text: str) -> list[str]:
    """Return the grapheme clusters; joined they are the text again."""
    if text.isascii():
        return list(text)
    from wcwidth import iter_graphemes

    found: list[str] = []
    for cluster in iter_graphemes(text):
        # CR LF is one cluster by UAX 29, but two characters to whoever edits text.
        found.extend(cluster if cluster == "\r\n" else (cluster,))
    return found


def shown(cluster: str) -> tuple[str, int]:
    """Return what to print for a cluster, and how many cells it takes (1 or more)."""
    if cluster.isascii() and cluster.isprintable() and len(cluster) == 1:
        return cluster, 1
    known = _cells_of.get(cluster)
    if known is None:
        if len(_cells_of) >= CACHED_CLUSTERS:
            _cells_of.clear()
        known = _cells_of[cluster] = _measure(cluster)
    return known


def _measure(cluster: str) -> tuple[str, int]:
    if cluster == "\t":
        return " ", 1
    if not _is_showable(cluster):
        return UNSHOWN, 1
    from wcwidth import wcswidth

    size = wcswidth(cluster)
    if size < 1 or unicodedata.combining(cluster[0]):
        return UNSHOWN, 1
    return cluster, size


def _is_showable(cluster: str) -> bool:
    for character in cluster:
        category = unicodedata.category(character)
        if category in {"Cc", "Cs", "Zl", "Zp"}:
            return False
        if category == "Cf" and not _joins(character, cluster):
            return False
    return True


def _joins(character: str, cluster: str) -> bool:
    """Allow the format characters that one sees: in emoji the joiner and flag tags, drawn signs."""
    if character in DRAWN_FORMATS:
        return True
    if character == "\u200d":
        return len(cluster) > 2 and cluster[0] != character
    return cluster[0] == "\U0001f3f4" and "\U000e0020" <= character <= "\U000e007f"


def cells(text: str) -> list[tuple[str, int]]:
    """Return (what to print, cells) for each cluster."""
    if is_simple(text):
        return [(character, 1) for character in text]
    return [shown(cluster) for cluster in clusters(text)]


def width(text: str) -> int:
    """Return the cells that a text takes on one line."""
    if is_simple(text):
        return len(text)
    return sum(size for _, size in cells(text))


def clip(text: str, room: int, mark: str = "") -> str:
    """Cut a text to at most ``room`` cells; ``mark`` replaces the end of what was cut."""
    if is_simple(text):
        if len(text) <= room:
            return text
        return (text[: max(0, room - len(mark))] + mark)[: max(0, room)]
    measured = [(cluster, shown(cluster)[1]) for cluster in clusters(text)]
    if sum(size for _, size in measured) <= room:
        return text
    left = room - len(mark)
    kept: list[str] = []
    for cluster, size in measured:
        if size > left:
            break
        kept.append(cluster)
        left -= size
    return clip("".join(kept) + mark, room) if room < len(mark) else "".join(kept) + mark


def pad(text: str, room: int, mark: str = "") -> str:
    """Clip or fill with blanks to exactly ``room`` cells."""
    text = clip(text, room, mark)
    return text + " " * (room - width(text))


def wrap(text: str, first: int, rest: int | None = None) -> list[str]:
    """Break a text into lines of at most ``first``, then ``rest`` cells: at blanks where possible.

    Line feeds are kept as breaks, tabs become blanks.
    A cluster wider than the line is replaced by ``?``.
    """
    first = max(1, first)
    rest = first if rest is None else max(1, rest)
    lines: list[str] = []
    for paragraph in text.replace("\t", TAB).split("\n"):
        room = rest if lines else first
        if is_simple(paragraph):
            _wrap_simple(paragraph, room, rest, lines)
        else:
            _wrap_clusters(paragraph, room, rest, lines)
    return lines


def _wrap_simple(text: str, room: int, rest: int, lines: list[str]) -> None:
    while len(text) > room:
        blank = text.rfind(" ", 1, room + 1)
        if blank > 0 and text[:blank].strip():
            lines.append(text[:blank])
            text = text[blank + 1 :]
        else:
            lines.append(text[:room])
            text = text[room:]
        room = rest
    lines.append(text)


def _wrap_clusters(text: str, room: int, rest: int, lines: list[str]) -> None:
    most = min(room, rest)
    row = [(c, shown(c)[1]) if shown(c)[1] <= most else (UNSHOWN, 1) for c in clusters(text)]
    at = 0
    while True:
        end, blank = _line_end(row, at, room)
        if end == len(row):
            lines.append("".join(c for c, _ in row[at:]))
            return
        lines.append("".join(c for c, _ in row[at : end if blank < 0 else blank]))
        at = end if blank < 0 else blank + 1
        room = rest


def _line_end(row: list[tuple[str, int]], at: int, room: int) -> tuple[int, int]:
    """Return where the line that begins at ``at`` is full, and its last breaking blank or -1.

    Blanks at the beginning are indentation, no place to break.
    """
    blank, solid = -1, False
    while at < len(row):
        cluster, size = row[at]
        if cluster == " " and solid:
            blank = at
        solid = solid or cluster != " "
        if size > room:
            break
        room -= size
        at += 1
    return at, blank


def pieces(text: str, first: int, rest: int) -> list[tuple[int, int]]:
    """Break one line (no line feeds) hard into (start, end) offsets, for an input field.

    A full last piece is followed by an empty one, because the cursor stands behind the text.
    """
    first, rest = max(1, first), max(1, rest)
    if is_simple(text):
        ends = list(range(first, len(text) + 1, rest))
        starts = [0, *ends]
        return list(zip(starts, [*ends, len(text)], strict=True))
    found: list[tuple[int, int]] = []
    start = at = used = 0
    room = first
    for cluster in clusters(text):
        size = min(shown(cluster)[1], room, rest)
        if used + size > room:
            found.append((start, at))
            start, used, room = at, 0, rest
        at += len(cluster)
        used += size
    found.append((start, at))
    if used >= room:
        found.append((at, at))
    return found


def cluster_start(text: str, at: int) -> int:
    """Return where the cluster before ``at`` begins; 0 at the beginning."""
    if at <= 0:
        return 0
    if text[max(0, at - 2) : at].isascii():
        return at - 1
    base = _safe_start(text, at)
    ends = _ends(text[base:at])
    return base + (ends[-2] if len(ends) > 1 else 0)


def cluster_end(text: str, at: int) -> int:
    """Return where the cluster that begins at ``at`` ends; the length at the end."""
    if at >= len(text):
        return len(text)
    if text[at : at + 2].isascii():
        return at + 1
    return at + _ends(text[at : at + WALK_BACK])[0]


def _safe_start(text: str, at: int) -> int:
    """Return an offset at or before ``at`` where a cluster surely begins.

    That is between two ASCII characters.
    """
    base = max(0, at - WALK_BACK)
    for index in range(at - 1, base, -1):
        if text[index - 1 : index + 1].isascii():
            return index
    return base


def _ends(text: str) -> list[int]:
    ends: list[int] = []
    at = 0
    for cluster in clusters(text):
        at += len(cluster)
        ends.append(at)
    return ends
