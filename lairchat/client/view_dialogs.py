"""Draws what stands over the room: pages of text, questions, the quick switcher."""

from __future__ import annotations

from lairchat.client.dialogs import Choices, Dialog, Page, Question, Switcher
from lairchat.client.markup import clip, pad, width, wrap
from lairchat.client.switcher import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.canvas import Canvas
    from lairchat.client.state import AppState

__all__ = ["all_rows", "draw_dialog", "page_rows"]

SWITCHER_W = 60
INDENT = 4  # of a page's wrapped lines
GLYPHS = frozenset("\u2588\u2580\u2584# ")  # what QR codes are drawn with
MARGIN = 2  # light modules around a QR code; four are asked for, two are read as well


def draw_dialog(state: AppState, dialog: Dialog, canvas: Canvas) -> None:
    """Draw the topmost dialog."""
    if isinstance(dialog, Page):
        _page(state, dialog, canvas)
    elif isinstance(dialog, Switcher):
        _switcher(state, dialog, canvas)
    elif isinstance(dialog, Question):
        _question(dialog, canvas)


def page_rows(page: Page, room: int) -> list[str]:
    """Return a page's lines, wrapped."""
    rows: list[str] = []
    for line in page.lines:
        first, *rest = wrap(line, room)
        rows.append(first)
        if rest:
            more = wrap(line[len(first) :].lstrip(), room - INDENT)
            rows += [" " * INDENT + one for one in more]
    return rows


def all_rows(state: AppState, page: Page, room: int, height: int) -> list[str]:
    """Return a page's rows: its lines, and its QR code if all of that can be seen at once."""
    rows = page_rows(page, room)
    if not isinstance(page, Choices) or not page.qr:
        return rows
    drawn = qr_rows(page.qr, blocks=state.blocks)
    if len(drawn[0]) > room or len(drawn) > height:
        return rows
    return [*rows, "", *drawn]


def qr_rows(modules: tuple[str, ...], *, blocks: bool) -> list[str]:
    """Draw a QR code, light modules filled: most terminals write light on dark.

    With half blocks two modules stand above each other in a cell, otherwise one takes two cells.
    """
    size = max(map(len, modules)) + 2 * MARGIN
    edge = ["0" * size] * MARGIN
    side = "0" * MARGIN
    rows = [*edge, *(f"{side}{row}{side}".ljust(size, "0") for row in modules), *edge]
    if not blocks:
        return ["".join("  " if module == "1" else "##" for module in row) for row in rows]
    rows += ["1" * size] * (len(rows) % 2)
    halves = {"00": "\u2588", "01": "\u2580", "10": "\u2584", "11": " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        "".join(halves.get(a + b, " ") for a, b in zip(above, below, strict=True))
        for above, below in pairs
    ]


def _page(state: AppState, page: Page, canvas: Canvas) -> None:
    """A page takes the whole screen; its place is kept within what there is."""
    w, h = canvas.width, canvas.height
    canvas.cursor = None
    space = max(1, h - 3)
    rows = all_rows(state, page, max(1, w - 2), space)
    top = max(0, min(page.top, len(rows) - space))
    for y in range(h):
        canvas.fill(0, y, w)
    canvas.put(0, 0, pad(f" {page.title}", w), "title")
    for n, row in enumerate(rows[top : top + space]):
        canvas.put(1, n + 1, row, _attr_of(row))
    below = len(rows) - top - space
    where = f"  {below} more lines" if below > 0 else ""
    keys = _keys(page, w)
    if len(rows) > space:
        keys += "  Up Down PgUp PgDn"
    if state.note is not None:
        where = f"  {state.note.text}"
    canvas.put(0, h - 1, pad(f" [{keys}]{where}", w), "status")


def _keys(page: Page, room: int) -> str:
    """Return which keys do what, with few words where there is little room."""
    if not isinstance(page, Choices):
        keys = "q quit" if page.final else "Esc close"
        return keys + ("  c copy" if page.copies else "")
    if page.enter is not None:
        return "Enter written down  F1 help"
    leave = f"Esc {page.leave_words}"
    whole = "  ".join([leave, *(f"{letter} {words}" for letter, words, _ in page.keys)])
    if width(whole) + 4 <= room:
        return whole
    return " ".join([leave, *(letter for letter, _, _ in page.keys)])


def _attr_of(row: str) -> str:
    if len(row) > 2 * MARGIN and row.strip() and set(row) <= GLYPHS:
        return "code"
    return "heading" if _is_heading(row) else "normal"


def _is_heading(row: str) -> bool:
    head = row.partition(":")[0]
    return bool(head) and head[0].isalpha() and head == head.upper()


def _frame(canvas: Canvas, w: int, h: int, title: str) -> tuple[int, int]:
    """Draw a box in the middle and return the corner of its inside."""
    x, y = (canvas.width - w) // 2, max(0, (canvas.height - h) // 2)
    caption = clip(f" {title} ", w - 4)
    left = (w - 2 - width(caption)) // 2
    top = "+" + "-" * left + caption + "-" * (w - 2 - left - width(caption)) + "+"
    canvas.put(x, y, top, "border")
    for n in range(1, h - 1):
        canvas.put(x, y + n, "|" + " " * (w - 2) + "|", "border")
    canvas.put(x, y + h - 1, "+" + "-" * (w - 2) + "+", "border")
    return x + 2, y + 1


def _question(dialog: Question, canvas: Canvas) -> None:
    room = min(canvas.width, 64) - 4
    lines = wrap(dialog.text, room)[: max(1, canvas.height - 3)]
    x, y = _frame(canvas, room + 4, len(lines) + 3, "Question")
    for n, line in enumerate(lines):
        canvas.put(x, y + n, line)
    canvas.put(x, y + len(lines), clip("[y] yes    [N] no    Esc", room), "hint")
    canvas.cursor = None


def _switcher(state: AppState, dialog: Switcher, canvas: Canvas) -> None:
    w = min(canvas.width, SWITCHER_W)
    h = min(canvas.height, 16)
    x, y = _frame(canvas, w, h, "Go to")
    room, space = w - 4, h - 4
    window = dialog.editor.window(room - 3, room - 3, 1)
    canvas.put(x, y, "> " + window.rows[0], "input")
    canvas.cursor = (min(x + 2 + window.x, x + room - 1), y)
    found = matches(state, dialog.editor.text)
    chosen = min(dialog.chosen, max(0, len(found) - 1))
    top = max(0, chosen - space + 1)
    for n, match in enumerate(found[top : top + space]):
        here = top + n == chosen
        text = f"{'>' if here else ' '} {pad(match.label, 22, '~')} {match.note}"
        canvas.put(x, y + 1 + n, pad(text, room, "~"), "selected" if here else "normal")
    if not found:
        canvas.put(x, y + 1, clip("nothing is called like that", room), "dim")
    canvas.put(x, y + h - 3, clip("[Enter go  Up Down choose  Esc close]", room), "hint")
