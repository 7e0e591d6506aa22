"""Draws the state on a canvas: pure, for any size, the same characters with and without colours.

Layouts are those of ``layout``; the text pane is ``view_room``, what stands over it ``view_dialogs``
and ``view_account``.
"""

from __future__ import annotations

from lairchat.client.canvas import Canvas
from lairchat.client.dialogs import Form, Question, Trust
from lairchat.client.layout import CONTINUED, MIN_HEIGHT, MIN_WIDTH, Layout, layout
from lairchat.client.markup import clip, width
from lairchat.client.view_room import draw_members, draw_rooms, draw_text, draw_title
from lairchat.client.view_status import draw_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState

__all__ = ["view", "window_title"]


def view(state: AppState, width: int, height: int) -> Canvas:
    """Return the page for a screen of this size; ``canvas.cursor`` is where typing goes."""
    canvas = Canvas(width, height)
    found = layout(state, width, height)
    if found.kind == "tiny":
        text = f"terminal too small: {MIN_WIDTH}x{MIN_HEIGHT} needed"
        for y in range(min(height, 3)):
            canvas.put(0, y, text[y * width : (y + 1) * width], "error")
        return canvas
    dialog = state.dialog
    if isinstance(dialog, (Trust, Form)) or _form_below(state):
        from lairchat.client.view_account import draw_account

        draw_account(state, canvas)
    else:
        _draw_room(state, canvas, found)
    if dialog is not None and not isinstance(dialog, (Trust, Form)):
        from lairchat.client.view_dialogs import draw_dialog

        draw_dialog(state, dialog, canvas)
    return canvas


def _form_below(state: AppState) -> bool:
    return any(isinstance(dialog, (Trust, Form)) for dialog in state.dialogs)


def _draw_room(state: AppState, canvas: Canvas, found: Layout) -> None:
    draw_title(state, canvas, found)
    if found.rooms_w:
        draw_rooms(state, canvas, found)
    if state.over_members and found.kind != "wide" and state.room.id:
        draw_members(state, canvas, found, found.text_x, found.text_w)
    else:
        draw_text(state, canvas, found)
    if found.side_w:
        draw_members(state, canvas, found, found.side_x, found.side_w)
    for n, line in enumerate(found.banner):
        y = found.status_y - len(found.banner) + n
        canvas.fill(0, y, found.width)
        canvas.put(1, y, line, "error")
    draw_status(state, canvas, found)
    _draw_input(state, canvas, found)
    _draw_hint(state, canvas, found)


def _draw_input(state: AppState, canvas: Canvas, found: Layout) -> None:
    window = found.editor
    assert window is not None
    bottom = found.input_y + len(window.rows) - 1
    for n, row in enumerate(window.rows):
        canvas.put(CONTINUED, found.input_y + n, row, "input")
    start = CONTINUED
    if window.above:
        canvas.put(0, found.input_y, "^", "hint")
    else:
        after = canvas.put(0, found.input_y, found.prompt, "prompt")
        canvas.fill(after, found.input_y, found.width)
        canvas.put(after, found.input_y, window.rows[0], "input")
        start = after if window.y == 0 else CONTINUED
    if window.below:
        canvas.put(0, bottom, "v", "hint")
    if not isinstance(state.dialog, Question):
        canvas.cursor = (min(start + window.x, canvas.width - 1), found.input_y + window.y)


def _draw_hint(state: AppState, canvas: Canvas, found: Layout) -> None:
    """Draw the last rows: a note, or else the hint; without a row of its own it stands right."""
    y = found.height - max(1, found.hint_h)
    if found.notes:
        attr = "error" if state.note is not None and state.note.error else "note"
        for n, line in enumerate(found.notes):
            canvas.put(1, y + n, line, attr)
        return
    text = clip(found.hint, found.width - 2, "~")
    x = 1 if found.hint_h else found.width - 1 - width(text)
    canvas.put(x, y, text, "hint")


def window_title(state: AppState) -> str:
    """Return the terminal window's title: what waits for the user, in brackets; empty for none."""
    if not state.settings.title:
        return ""
    waiting = sum(
        room.mentions or (room.unread if room.direct else 0) for room in state.rooms.values()
    )
    return f"({waiting}) lair" if waiting else "lair"
