"""Tab: what the word under the cursor could become."""

from __future__ import annotations

from lairchat.client.commands import COMMANDS, lookup, split
from lairchat.client.kit import people
from lairchat.client.settings import SETTINGS
from lairchat.client.state import Completion
from lairchat.client.verbs_rooms import ACCESS, ROLES
from lairchat.client.wording import by_rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lairchat.client.state import AppState

__all__ = ["COMPLETERS", "choices_at", "complete"]


def _rooms(state: AppState) -> list[str]:
    return sorted("#" + room.name for room in state.rooms.values() if not room.direct)


def _members(state: AppState) -> list[str]:
    own = state.me.name if state.me is not None else ""
    return [one.name for one in by_rank(state.room) if one.name != own]


def _words(*words: str) -> Callable[[AppState], list[str]]:
    return lambda _state: list(words)


COMPLETERS: dict[str, Callable[[AppState], list[str]]] = {
    "command": lambda _state: sorted(one.name for one in COMMANDS),
    "room": _rooms,
    "person": people,
    "member": _members,
    "role": _words(*ROLES),
    "access": _words(*ACCESS),
    "setting": lambda _state: [one.name for one in SETTINGS],
    "value": _words("on", "off"),
    "pane": _words("members", "rooms"),
    "onoff": _words("on", "off"),
    "all": _words("all"),
    "inviter": lambda state: list(state.invites),
    "off": _words("off"),
    "reaction": _words("+1", "-1", ":eyes:", ":heart:", ":tada:", ":thinking:"),
    "place": _words("unread", "top", "bottom"),
    "none": _words(),
}
"""What a command's argument can be, by the names that ``commands.COMMANDS`` uses."""


def choices_at(state: AppState, text: str, at: int) -> tuple[int, list[str]]:
    """Return where the word before the cursor begins, and what it could be."""
    start = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at)) + 1
    word = text[start:at]
    if text.startswith("/") and not text.startswith("//"):
        if start == 0:
            names = [f"/{one.name}" for one in COMMANDS]
            return 0, [name for name in names if name.startswith(word.lower())]
        found = _arguments(state, text[:start])
        if found is not None:
            bare = word.lstrip("@#").lower()
            return start, [one for one in found if one.lstrip("#").lower().startswith(bare)]
    if word.startswith("#"):
        return start, [name for name in _rooms(state) if name.startswith(word.lower())]
    bare = word.removeprefix("@").lower()
    if not word:
        return start, []
    return start, ["@" + name for name in _members(state) if name.lower().startswith(bare)]


def _arguments(state: AppState, before: str) -> list[str] | None:
    """Return what the next argument can be; None when it is free text."""
    name, rest = split(before)
    command = lookup(name)
    if command is None:
        return None
    index = len(rest.split())
    if index >= len(command.complete):
        return None
    return COMPLETERS[command.complete[index]](state)


def complete(state: AppState, step: int) -> None:
    """Complete as far as there is no choice; then each further Tab takes the next choice."""
    editor = state.room.editor
    known = state.completion
    if known is not None and known.end == editor.at:
        start = 0 if known.index < 0 and step < 0 else known.index
        known.index = (start + step) % len(known.choices)
        _put(state, known, known.choices[known.index])
        return
    start, choices = choices_at(state, editor.text, editor.at)
    if not choices:
        state.completion = None
        return
    if len(choices) == 1:
        blank = "" if editor.text[editor.at : editor.at + 1] == " " else " "
        editor.replace(start, editor.at, choices[0] + blank)
        state.completion = None
        return
    state.completion = Completion(start, editor.at, choices)
    common = _common([choice.lower() for choice in choices])
    if len(common) > editor.at - start:
        _put(state, state.completion, choices[0][: len(common)])


def _put(state: AppState, known: Completion, text: str) -> None:
    state.room.editor.replace(known.start, known.end, text)
    known.end = state.room.editor.at


def _common(words: list[str]) -> str:
    first, last = min(words), max(words)
    size = 0
    while size < min(len(first), len(last)) and first[size] == last[size]:
        size += 1
    return first[:size]
