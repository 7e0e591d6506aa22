"""What each action of the key map does when no dialog is open."""

from __future__ import annotations

from lairchat.client import effects, reading
from lairchat.client.compose import enter
from lairchat.client.dialogs import Question, Switcher
from lairchat.client.editor import Editor
from lairchat.client.kit import drafts, in_order, notice, open_room, quit_now, request
from lairchat.client.outbox import resend
from lairchat.client.verbs_messages import (
    delete_selected,
    edit_selected,
    react_selected,
    reply_selected,
)
from lairchat.client.verbs_report import report_selected
from lairchat.client.verbs_rooms import toggle_members
from lairchat.client.verbs_threads import thread_selected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["ACTIONS", "EDITING", "SELECTED"]

EDITING: dict[str, Callable[[Editor], object]] = {
    "left": Editor.left,
    "right": Editor.right,
    "word-left": Editor.word_left,
    "word-right": Editor.word_right,
    "home": Editor.home,
    "end": Editor.end,
    "backspace": Editor.backspace,
    "delete": Editor.delete,
    "kill-blank-word": Editor.kill_blank_word,
    "kill-word-left": Editor.kill_word_left,
    "kill-word-right": Editor.kill_word_right,
    "kill-to-start": Editor.kill_to_start,
    "kill-to-end": Editor.kill_to_end,
    "yank": Editor.yank,
    "yank-older": Editor.yank_older,
}
"""Actions that concern the text of an input alone."""


def newline(state: AppState) -> list[Effect]:
    """Begin a new line of the message."""
    state.room.editor.insert("\n")
    return []


def complete(state: AppState) -> list[Effect]:
    """Complete the word before the cursor."""
    return _complete(state, 1)


def complete_back(state: AppState) -> list[Effect]:
    """Take the previous choice."""
    return _complete(state, -1)


def _complete(state: AppState, step: int) -> list[Effect]:
    from lairchat.client.complete import complete as offer

    offer(state, step)
    return []


def up(state: AppState) -> list[Effect]:
    """Go to the line above, or back in the history."""
    if not state.room.editor.up():
        state.room.editor.recall_older()
    return []


def down(state: AppState) -> list[Effect]:
    """Go to the line below, or on in the history."""
    if not state.room.editor.down():
        state.room.editor.recall_newer()
    return []


# -- rooms -------------------------------------------------------------------------------------------


def next_unread(state: AppState) -> list[Effect]:
    """Go to the next room with something unread, mentions first."""
    rooms = [room for room in in_order(state) if room.unread and room.id != state.current]
    if rooms:
        return open_room(state, rooms[0])
    if state.previous in state.rooms:
        return open_room(state, state.rooms[state.previous])
    notice(state, "nothing unread anywhere")
    return []


def step_room(state: AppState, step: int) -> list[Effect]:
    """Go to the next or previous room of the list."""
    rooms = in_order(state)
    if not rooms:
        return []
    at = next((n for n, room in enumerate(rooms) if room.id == state.current), -step)
    return open_room(state, rooms[(at + step) % len(rooms)])


def nth_room(state: AppState, number: int) -> list[Effect]:
    """Go to a room by its place in the list."""
    rooms = in_order(state)
    return open_room(state, rooms[number - 1]) if number <= len(rooms) else []


def switch(state: AppState) -> list[Effect]:
    """Open the quick switcher."""
    state.dialogs.append(Switcher(Editor(state.kills)))
    return []


def list_rooms(state: AppState) -> list[Effect]:
    """Ask for the server's rooms."""
    if state.phase != "online":
        notice(state, "not connected: the list of rooms needs the server")
        return []
    return [effects.ListRooms(request(state))]


# -- the screen --------------------------------------------------------------------------------------


def toggle_rooms(state: AppState) -> list[Effect]:
    """Show or hide the room list."""
    state.settings.rooms = not state.settings.rooms
    return []


def show_help(state: AppState) -> list[Effect]:
    """Open the help."""
    from lairchat.client.help import open_help

    open_help(state)
    return []


def cancel(state: AppState) -> list[Effect]:
    """Ctrl-C: take back one thing; when there is nothing to take back, offer to quit."""
    editor = state.room.editor
    if state.selected is not None or state.over_members:
        return back(state)
    if editor.text:
        state.history.add(editor.take())
        notice(state, "draft put into the history: Up brings it back. Ctrl-C again: quit?")
        return []
    waiting = drafts(state)
    left = f" There is an unsent draft in {waiting}." if waiting else ""
    state.dialogs.append(Question(f"Quit?{left}", quit_now))
    return []


def back(state: AppState) -> list[Effect]:
    """Esc: close what is open."""
    state.selected = None
    state.over_members = False
    state.completion = None
    state.note = None
    editor = state.room.editor
    if editor.target:
        state.history.add(editor.take())
        notice(state, "the message is as it was; the changed text is in the history: Up")
    return []


def prefix(state: AppState) -> list[Effect]:
    """Ctrl-X: the next key is looked up in the second table."""
    state.prefix = True
    return []


def copy(state: AppState) -> list[Effect]:
    """Copy the selected message."""
    text = _selected_text(state)
    state.selected = None
    if not text:
        return []
    notice(state, "copied, if the terminal allows it")
    return [effects.Copy(text)]


def quote(state: AppState) -> list[Effect]:
    """Quote the selected message in the input."""
    text = _selected_text(state)
    if text:
        editor = state.room.editor
        quoted = "".join(f"> {line}\n" for line in text.split("\n"))
        editor.home()
        editor.insert(quoted)
        state.selected = None
    return []


def _selected_text(state: AppState) -> str:
    item = reading.selected_item(state)
    return item.text if item is not None else ""


def _edit(name: str) -> Callable[[AppState], list[Effect]]:
    edit = EDITING[name]

    def run(state: AppState) -> list[Effect]:
        edit(state.room.editor)
        return []

    return run


def _nth(number: int) -> Callable[[AppState], list[Effect]]:
    return lambda state: nth_room(state, number)


ACTIONS: dict[str, Callable[[AppState], list[Effect]]] = {
    "send": enter,
    "newline": newline,
    "complete": complete,
    "complete-back": complete_back,
    "up": up,
    "down": down,
    **{name: _edit(name) for name in EDITING},
    "next-unread": next_unread,
    "switch": switch,
    "next-room": lambda state: step_room(state, 1),
    "previous-room": lambda state: step_room(state, -1),
    "list-rooms": list_rooms,
    **{f"room-{number}": _nth(number) for number in range(1, 11)},
    "page-up": reading.page_up,
    "page-down": reading.page_down,
    "top": reading.top,
    "bottom": reading.bottom,
    "unread-line": reading.unread_line,
    "select-older": lambda state: reading.select(state, -1),
    "select-newer": lambda state: reading.select(state, 1),
    "toggle-members": toggle_members,
    "toggle-rooms": toggle_rooms,
    "help": show_help,
    "repaint": lambda _state: [effects.Repaint()],
    "cancel": cancel,
    "back": back,
    "suspend": lambda _state: [effects.Suspend()],
    "prefix": prefix,
}
"""Action names of ``keymap.BINDINGS`` and what they do."""

SELECTED: dict[str, Callable[[AppState], list[Effect]]] = {
    "resend": resend,
    "reply": reply_selected,
    "thread": thread_selected,
    "edit": edit_selected,
    "delete": delete_selected,
    "react": react_selected,
    "report": report_selected,
    "copy": copy,
    "quote": quote,
}
"""Action names of ``keymap.SELECTION``."""
