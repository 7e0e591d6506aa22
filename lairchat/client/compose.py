"""Enter: a message is sent or queued, a command runs, or the text stays with the reason why not.

Nothing typed is ever lost: that is the one rule of this file.
"""

from __future__ import annotations

from lairchat.client import outbox
from lairchat.client.kit import CommandError, ask, notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.secret import Trace
    from lairchat.client.state import AppState, Room

__all__ = ["enter"]

MULTILINE = frozenset({"me", "msg", "topic"})  # commands whose text may have several lines


def enter(state: AppState) -> list[Effect]:
    """Act on what is in the input."""
    room = state.room
    text = room.editor.text
    if not text.strip():
        return []
    state.completion = None
    state.selected = None
    try:
        if text.startswith("//"):
            return _send(state, room, text[1:])
        if text.startswith("/"):
            return _command(state, room, text)
        if text.lstrip().startswith("/"):
            return _hold(state, room, "This begins with a command behind a blank.")
        return _send(state, room, text)
    except CommandError as problem:
        notice(state, str(problem), error=True)
        return []


def _send(state: AppState, room: Room, text: str) -> list[Effect]:
    _check(state, room, text)
    if state.trace is not None and state.trace.matches(text):
        return _hold(state, room, "This looks like your password.")
    return _really(state, room, text)


def _check(state: AppState, room: Room, text: str) -> None:
    if not room.id:
        waits = state.phase not in {"online", "halted"}
        way = "it stays here until there is one" if waits else "Try: /join #lobby"
        raise CommandError(f"no room is open: {way}")
    why = outbox.refusal(text, room)
    if why:
        raise CommandError(why)
    if state.going in state.pending:
        typed = state.pending[state.going]
        raise CommandError(f"waiting for {typed[:40]}: the text goes along, press Enter there")


def _really(state: AppState, room: Room, text: str) -> list[Effect]:
    state.history.add(room.editor.take())
    return outbox.send(state, room, text.strip("\n"))


def _hold(state: AppState, room: Room, why: str) -> list[Effect]:
    """Ask before something is sent that was probably not meant to be."""
    _check(state, room, room.editor.text)
    held = room.editor.text

    def accept(state: AppState) -> list[Effect]:
        if state.room is not room or room.editor.text != held:
            return []
        return _really(state, room, held)

    ask(state, f"{why} Send this as a message?", accept)
    return []


def _command(state: AppState, room: Room, text: str) -> list[Effect]:
    from lairchat.client import commands

    word, rest = commands.split(text)
    if "\n" in text.strip() and word not in MULTILINE:
        return _hold(state, room, "This begins with / and has several lines.")
    if state.trace is not None and word in MULTILINE and _has_password(state.trace, rest):
        ask(state, "This looks like your password. Run it?", lambda state: _run(state, room, text))
        return []
    return _run(state, room, text)


def _has_password(trace: Trace, rest: str) -> bool:
    return trace.matches(rest) or trace.matches(rest.strip().partition(" ")[2])


def _run(state: AppState, room: Room, text: str) -> list[Effect]:
    from lairchat.client import commands

    editor = room.editor
    editor.take()
    try:
        wanted = commands.run(state, text)
    except CommandError:
        editor.set(text)
        raise
    state.history.add(text)
    return wanted
