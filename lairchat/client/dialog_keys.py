"""Keys and text while a dialog is open: each kind takes its own, F1 and repaint work everywhere."""

from __future__ import annotations

from lairchat.client import effects
from lairchat.client.account import form_key, form_text, trust_answer
from lairchat.client.actions import EDITING
from lairchat.client.dialogs import Choices, Dialog, Form, Page, Question, Switcher, Trust
from lairchat.client.kit import notice, open_room, quit_now
from lairchat.client.switcher import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState

__all__ = ["dialog_action", "dialog_text"]

ANYWHERE = frozenset({"help", "prefix", "repaint", "suspend"})


def dialog_text(state: AppState, dialog: Dialog, text: str) -> list[Effect]:
    """Take typed or pasted text."""
    if isinstance(dialog, Form):
        form_text(dialog, text)
    elif isinstance(dialog, Switcher):
        dialog.editor.insert(text.replace("\n", " "))
        dialog.chosen = 0
    elif isinstance(dialog, Question):
        return _answer(state, dialog, text)
    elif isinstance(dialog, Trust):
        return _trust_letters(state, dialog, text)
    elif isinstance(dialog, Page):
        return _page_letters(state, dialog, text)
    return []


def _answer(state: AppState, dialog: Question, text: str) -> list[Effect]:
    state.dialogs.remove(dialog)
    if text[:1] in {"y", "Y"}:
        return dialog.accept(state)
    if dialog.refuse is not None:
        return dialog.refuse(state)
    notice(state, "no, then. Everything is as it was")
    return []


def _trust_letters(state: AppState, dialog: Trust, text: str) -> list[Effect]:
    letter = text[:1].lower()
    if letter == "f":
        dialog.full = not dialog.full
    elif letter in {"t", "q"}:
        if letter == "q":
            state.quitting = True
        return trust_answer(state, trusted=letter == "t")
    return []


def _page_letters(state: AppState, dialog: Page, text: str) -> list[Effect]:
    if isinstance(dialog, Choices) and (dialog.keys or dialog.enter is not None):
        for letter, _, chosen in dialog.keys:
            if text[:1].lower() == letter:
                state.dialogs.remove(dialog)
                return chosen(state)
        if text[:1] == " ":
            _scroll(state, dialog, "page-down")
        return []
    if text[:1] in {"q", "Q"}:
        return _close(state, dialog)
    if text[:1] == " ":
        _scroll(state, dialog, "page-down")
    if text[:1] in {"c", "C"} and dialog.copies:
        notice(state, "copied, if the terminal allows it")
        return [effects.Copy(dialog.copies)]
    return []


def dialog_action(state: AppState, dialog: Dialog, action: str, key: str) -> list[Effect]:
    """Take an action of the key map, or a key by its name."""
    if action in ANYWHERE:
        from lairchat.client.actions import ACTIONS

        return ACTIONS[action](state)
    if action == "cancel" and isinstance(dialog, Choices) and dialog.enter is not None:
        state.dialogs.append(Question("Quit?", quit_now))
        return []
    if action in {"back", "cancel"}:
        return _close(state, dialog)
    if isinstance(dialog, Form):
        if key == "f2":
            dialog.reveal = not dialog.reveal
            return []
        return form_key(state, dialog, action)
    if isinstance(dialog, Switcher):
        return _switcher_action(state, dialog, action)
    if isinstance(dialog, Choices) and action == "send" and dialog.enter is not None:
        return dialog.enter(state)
    if isinstance(dialog, Page):
        _scroll(state, dialog, action)
        return _close(state, dialog) if action == "send" and not dialog.final else []
    if isinstance(dialog, Question) and action == "send":
        return _answer(state, dialog, "")
    return []


def _close(state: AppState, dialog: Dialog) -> list[Effect]:
    """Leave a dialog; those that the program cannot go on without ask whether to quit."""
    if isinstance(dialog, Page) and dialog.final:
        return quit_now(state)
    if isinstance(dialog, Trust) or (isinstance(dialog, Form) and dialog.kind == "account"):
        state.dialogs.append(Question("Quit?", quit_now))
        return []
    if isinstance(dialog, Choices):
        return _leave(state, dialog)
    if isinstance(dialog, Form):
        dialog.clear_secrets()
    state.dialogs.remove(dialog)
    refuse = dialog.refuse if isinstance(dialog, Question) else None
    return refuse(state) if refuse is not None else []


def _leave(state: AppState, dialog: Choices) -> list[Effect]:
    """Leave a page with choices; one that Enter alone ends stays, and says so."""
    if dialog.enter is not None:
        notice(state, dialog.leave_words)
        return []
    state.dialogs.remove(dialog)
    return dialog.leave(state) if dialog.leave is not None else []


def _scroll(state: AppState, page: Page, action: str) -> None:
    from lairchat.client.view_dialogs import all_rows

    space = max(1, state.height - 3)
    last = max(0, len(all_rows(state, page, max(1, state.width - 2), space)) - space)
    steps = {"up": -1, "down": 1, "page-up": 1 - space, "page-down": space - 1}
    steps |= {"top": -last, "home": -last, "bottom": last, "end": last}
    page.top = max(0, min(page.top, last) + steps.get(action, 0))
    page.top = min(page.top, last)


def _switcher_action(state: AppState, dialog: Switcher, action: str) -> list[Effect]:
    found = matches(state, dialog.editor.text)
    if action in {"down", "complete", "next-room", "switch"}:
        dialog.chosen = (dialog.chosen + 1) % max(1, len(found))
    elif action in {"up", "complete-back", "previous-room"}:
        dialog.chosen = (dialog.chosen - 1) % max(1, len(found))
    elif action == "send":
        state.dialogs.remove(dialog)
        if found:
            return _go(state, found[min(dialog.chosen, len(found) - 1)].target)
        notice(state, "nothing is called like that")
    elif action in EDITING:
        EDITING[action](dialog.editor)
        dialog.chosen = 0
    return []


def _go(state: AppState, target: int | str) -> list[Effect]:
    """Go to the room of this id, or put the command into the input to be finished there."""
    if isinstance(target, int):
        return open_room(state, state.rooms[target])
    editor = state.room.editor
    if editor.text:
        state.history.add(editor.take())
        notice(state, "what was in the input is in the history: Up")
    editor.set(target)
    return []
