"""The whole behaviour of the client: ``update(state, input)`` changes the state, returns effects.

No I/O, no clock, no randomness: time comes in ticks, bytes and numbers come from the link.
It never raises for any sequence of inputs (tests/client/test_update_any.py holds it to that).
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.actions import ACTIONS, SELECTED
from lairchat.client.dialog_keys import dialog_action, dialog_text
from lairchat.client.editor import clean_paste
from lairchat.client.keymap import PREFIXED, SELECTION, key_label
from lairchat.client.kit import moved, notice
from lairchat.client.on_link import LINK
from lairchat.client.reading import drop_line, fetch_people, mark_read
from lairchat.client.typing_notice import typed
from lairchat.model.limits import MESSAGE_CHARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.dialogs import Dialog
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["update"]

LETTERS = {letter: action for letter, action, _ in SELECTION}
KEEPS_COMPLETION = frozenset({"complete", "complete-back"})


def update(state: AppState, event: i.Input) -> list[Effect]:
    """Apply one input and return what is to be done outside."""
    apply = LINK.get(type(event))
    if apply is not None:
        return apply(state, event)
    if isinstance(event, i.Tick):
        return _tick(state, event.now)
    if isinstance(event, i.Text | i.Key | i.Paste):
        room = state.room
        before = room.editor.text
        return _typed(state, event) + typed(state, room, before)
    if isinstance(event, i.Resize):
        state.width, state.height = max(1, event.width), max(1, event.height)
        return []
    if isinstance(event, i.Focus):
        return _focus(state, gained=event.gained)
    return []


def _typed(state: AppState, event: i.Text | i.Key | i.Paste) -> list[Effect]:
    if isinstance(event, i.Text):
        return _text(state, event.text)
    if isinstance(event, i.Key):
        return _key(state, event.name)
    return _paste(state, clean_paste(event.text))


def _tick(state: AppState, now: int) -> list[Effect]:
    if not state.now and state.note is not None:
        state.note.until += now  # said before there was any time
    state.now = now
    if state.note is not None and now >= state.note.until:
        state.note = None
    return fetch_people(state)


def _focus(state: AppState, *, gained: bool) -> list[Effect]:
    state.focused = gained
    if gained:
        return mark_read(state)
    if state.room.line_seen:
        drop_line(state.room)
    return []


def _open_dialog(state: AppState) -> Dialog | None:
    """Return the dialog that takes keys: none while it is too new to be meant."""
    dialog = state.dialog
    return dialog if dialog is not None and dialog.armed(state.now) else None


def _text(state: AppState, text: str) -> list[Effect]:
    dialog = _open_dialog(state)
    if state.prefix:
        state.prefix = False
        return _prefixed(state, text[:1].lower()) + (_text(state, text[1:]) if text[1:] else [])
    if dialog is not None:
        wanted = dialog_text(state, dialog, text)
        return wanted + _settled(state)
    action = LETTERS.get(text) if state.selected is not None else None
    if action is not None:
        return SELECTED[action](state)
    state.selected = None
    state.completion = None
    if moved(state):
        state.moved_at = state.now  # still the same typing
    state.room.editor.insert(text)
    return []


def _paste(state: AppState, text: str) -> list[Effect]:
    """Put a paste where typing goes; its line ends send nothing and answer nothing."""
    dialog = _open_dialog(state)
    state.prefix = False
    state.selected = None
    state.completion = None
    if dialog is not None and dialog.takes_paste:
        return dialog_text(state, dialog, text)
    state.room.editor.insert(text)
    if dialog is not None:
        notice(state, "pasted into the input, not into the question")
    elif "\n" in text:
        lines = text.rstrip("\n").count("\n") + 1
        size = f"{len(state.room.editor.text)}/{MESSAGE_CHARS} characters"
        notice(state, f"pasted {lines} lines ({size}): nothing is sent before you press Enter")
    return []


def _key(state: AppState, name: str) -> list[Effect]:
    if state.prefix:
        state.prefix = False
        return _prefixed(state, name)
    action = state.keymap.get(name, "")
    dialog = _open_dialog(state)
    if dialog is not None:
        return dialog_action(state, dialog, action, name) + _settled(state)
    if state.dialogs and action == "send":
        return []  # typed before a question came up: it answers nothing and sends nothing
    if not action:
        if name.startswith(("alt-", "ctrl-", "f")) and state.journal is None:
            notice(state, f"{key_label(name)} does nothing here. F1 shows all keys")
        return []
    if action == "send" and moved(state):
        state.moved_at = None
        notice(state, "typed while what stands here changed: look, then press Enter again")
        return []
    if action not in KEEPS_COMPLETION:
        state.completion = None
    if state.selected is not None and action in {"back", "up", "down"}:
        action = {"up": "select-older", "down": "select-newer"}.get(action, action)
    return ACTIONS[action](state)


def _prefixed(state: AppState, name: str) -> list[Effect]:
    """Run what stands behind Ctrl-X."""
    name = name.removeprefix("ctrl-")
    action = PREFIXED.get(name)
    if action is None:
        known = " ".join(PREFIXED)
        notice(state, f"Ctrl-X {key_label(name)} does nothing. Known: {known}")
        return []
    dialog = _open_dialog(state)
    if dialog is not None:
        return dialog_action(state, dialog, action, name) + _settled(state)
    return ACTIONS[action](state)


def _settled(state: AppState) -> list[Effect]:
    """After a dialog closed the room is seen again."""
    return mark_read(state) if not state.dialogs else []
