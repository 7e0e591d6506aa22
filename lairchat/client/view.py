"""Draws the state on a canvas: pure, for any size, the same characters with and without colours.

Layouts are those of ``layout``; the text pane is ``view_room``, what stands over it ``view_dialogs``
and ``view_account``.
"""

from __future__ import annotations

from lairchat.client.canvas import Canvas
from lairchat.client.dialogs import Form, Question, Trust
from lairchat.client.layout import CONTINUED, MESSAGE_WARN, MIN_HEIGHT, MIN_WIDTH, Layout, layout
from lairchat.client.markup import clip, pad, width
from lairchat.client.view_room import draw_members, draw_rooms, draw_text, draw_title
from lairchat.client.view_status import draw_status
from lairchat.model.limits import MESSAGE_CHARS

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
    draw_status(state, canvas, found)
    _draw_input(state, canvas, found)
    _draw_hint(state, canvas, found)


def _draw_input(state: AppState, canvas: Canvas, found: Layout) -> None:
    window = found.editor
    assert window is not None
    top = window.above
    indent = width(found.prompt)
    for n, row in enumerate(window.rows):
        y = found.input_y + n
        if n == 0:
            x = canvas.put(0, y, found.prompt, "prompt")
            first = not top
            if top:
                canvas.put(0, y, pad("^", CONTINUED), "hint")
                canvas.put(CONTINUED, y, " " * (indent - CONTINUED))
            canvas.put(x if first else CONTINUED, y, row, "input")
        else:
            canvas.put(CONTINUED, y, row, "input")
    if window.below:
        canvas.put(0, found.input_y + len(window.rows) - 1, "v", "hint")
    start = indent if window.y == 0 and not top else CONTINUED
    if isinstance(state.dialog, Question):
        return
    canvas.cursor = (min(start + window.x, canvas.width - 1), found.input_y + window.y)


def _draw_hint(state: AppState, canvas: Canvas, found: Layout) -> None:
    """The last rows: a note, choices of Tab, the usage of a command, or the length of a draft."""
    y = found.height - max(1, found.hint_h)
    if found.notes:
        attr = "error" if state.note is not None and state.note.error else "note"
        for n, line in enumerate(found.notes):
            canvas.put(1, y + n, line, attr)
        return
    text = hint_text(state, found)
    if not text:
        return
    if found.hint_h:
        canvas.put(1, y, clip(text, found.width - 2, "~"), "hint")
        return
    room = found.width - 2
    if found.editor is not None and len(found.editor.rows) > 1 and found.kind != "narrow":
        canvas.put(max(0, room - width(text)) + 1, y, clip(text, room, "~"), "hint")


def hint_text(state: AppState, found: Layout) -> str:
    """Return what the hint row says, empty for nothing."""
    text = state.room.editor.text
    if state.completion is not None:
        known = state.completion
        return "  ".join(
            f"[{choice}]" if n == known.index else choice for n, choice in enumerate(known.choices)
        )
    if found.editor is not None and (len(found.editor.rows) > 1 or len(text) > MESSAGE_WARN):
        lines = state.room.editor.lines()
        over = "  TOO LONG" if len(text) > MESSAGE_CHARS else ""
        count = f"{lines} line{'s' * (lines != 1)} {len(text)}/{MESSAGE_CHARS}"
        return f"(Enter send, ^C cancel)  {count}{over}"
    if text.startswith("/") and not text.startswith("//"):
        return _usage(text)
    return ""


def _usage(text: str) -> str:
    from lairchat.client import commands

    word, _ = commands.split(text)
    command = commands.lookup(word)
    if command is not None:
        return f"{command.usage}   {command.help}"
    if " " in text:
        return ""
    starts = [f"/{one.name}" for one in commands.COMMANDS if one.name.startswith(word)]
    return "  ".join(starts) + ("   (Tab completes)" if starts else "")


def window_title(state: AppState) -> str:
    """Return the terminal window's title: what waits for the user, in brackets; empty for none."""
    if not state.settings.title:
        return ""
    waiting = sum(
        room.mentions or (room.unread if room.direct else 0) for room in state.rooms.values()
    )
    return f"({waiting}) lair" if waiting else "lair"
