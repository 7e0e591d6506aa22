"""What /help, F1 and Ctrl-X ? say: written by the tables of keys and commands, never by hand."""

from __future__ import annotations

from lairchat.client import commands
from lairchat.client.dialogs import Choices, Form, Page, Switcher, Trust
from lairchat.client.keymap import BINDINGS, GROUPS, PREFIXED, SELECTION, key_label
from lairchat.client.kit import say
from lairchat.client.settings import SETTINGS
from lairchat.client.wording import LABELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState

__all__ = ["command_lines", "help_lines", "open_help"]

MARKS = (("..", "queued"), ("v", "stored by the server"), ("x", "failed: select it, x sends again"))
COLUMN = 24


def _row(left: str, right: str) -> str:
    return f"  {left:<{COLUMN}}  {right}" if len(left) <= COLUMN else f"  {left}  {right}"


def command_lines(word: str) -> list[str]:
    """Return what there is to say about one command."""
    command = commands.lookup(word.lstrip("/").lower())
    if command is None:
        close = commands.nearest(word.lstrip("/").lower())
        return [
            f"there is no /{word.lstrip('/')[:20]}." + (f" Did you mean /{close}?" if close else "")
        ]
    also = f"  (also /{', /'.join(command.aliases)})" if command.aliases else ""
    return [command.usage + also, command.help, f"for example: {command.example}"]


def _keys(state: AppState, action: str) -> str:
    return " ".join(key_label(key) for key, does in state.keymap.items() if does == action)


def _context(state: AppState) -> list[str]:
    """Return the keys of what is open right now."""
    dialog = state.dialog
    if isinstance(dialog, Trust):
        rows = [
            ("t", "trust this server and remember it"),
            ("f", "whole fingerprint"),
            ("q", "quit"),
        ]
    elif isinstance(dialog, Form):
        rows = [
            ("Enter", "next answer; after the last one, go on"),
            ("Tab Down, Shift-Tab Up", "next, previous answer"),
            ("Space Left Right", "change a choice ( )"),
            ("F2", "show the password"),
            ("Esc", "back"),
        ]
    elif isinstance(dialog, Choices):
        rows = [(letter, words) for letter, words, _ in dialog.keys]
        rows += [("Enter", "go on")] if dialog.enter is not None else []
        rows += [("Esc", dialog.leave_words)]
    elif isinstance(dialog, Switcher):
        rows = [
            ("letters", "narrow down"),
            ("Up Down", "choose"),
            ("Enter", "go"),
            ("Esc", "close"),
        ]
    elif state.selected is not None:
        rows = [(key, text) for key, _, text in SELECTION]
    else:
        return []
    return ["HERE", *(_row(*row) for row in rows), ""]


def help_lines(state: AppState) -> list[str]:
    """Return the whole help for the state of things."""
    lines = _context(state)
    for group in commands.GROUPS:
        lines.append(f"COMMANDS: {group}")
        lines += [
            _row(one.usage, one.help + "".join(f" (also /{alias})" for alias in one.aliases))
            for one in commands.COMMANDS
            if one.group == group
        ]
        lines.append("")
    for group in GROUPS:
        lines.append(f"KEYS: {group}")
        lines += [
            _row(_keys(state, one.action) or "(no key)", one.help)
            for one in BINDINGS
            if one.group == group
        ]
        lines.append("")
    lines += ["KEYS: behind Ctrl-X"]
    helps = {one.action: one.help for one in BINDINGS}
    lines += [_row(f"Ctrl-X {key}", helps[action]) for key, action in PREFIXED.items()]
    lines += ["", "KEYS: while a message is selected"]
    lines += [_row(key, text) for key, _, text in SELECTION]
    lines += ["", "SETTINGS: /set NAME VALUE"]
    lines += [_row(f"{one.name} {'|'.join(one.values)}", one.help) for one in SETTINGS]
    lines += ["", "MARKS behind your messages"]
    lines += [_row(mark, text) for mark, text in MARKS]
    lines += ["", "WHO CAN READ a room: its label"]
    lines += [_row(label, text) for label, text in LABELS.items()]
    lines += [_row("archived", "an operator closed it: it is read and left, not written in")]
    return lines


def open_help(state: AppState) -> None:
    """Show the help over everything; opening it twice shows it once."""
    if state.journal is not None:
        say(state, "\n".join(help_lines(state)))
        return
    top = state.dialog
    if isinstance(top, Page) and top.title == "Help":
        return
    state.dialogs.append(Page("Help", help_lines(state)))
