"""Enter: a message is sent or queued, a command runs, or the text stays with the reason why not.

Nothing typed is ever lost: that is the one rule of this file.
"""

from __future__ import annotations

from lairchat.client import outbox
from lairchat.client.kit import CommandError, ask, notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room

__all__ = ["enter"]

MULTILINE = frozenset(
    {"edit", "me", "msg", "reply", "thread", "topic"}
)  # commands whose text may have several lines


def enter(state: AppState) -> list[Effect]:
    """Act on what is in the input."""
    room = state.room
    text = room.editor.text
    if not text.strip():
        room.editor.target = 0
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
        if text.startswith("+"):
            return _reaction(state, room, text)
        return _send(state, room, text)
    except CommandError as problem:
        notice(state, str(problem), error=True)
        return []


def _send(state: AppState, room: Room, text: str) -> list[Effect]:
    _check(state, room, text)
    what = _secret_in(state, text)
    if what:
        return _hold(state, room, f"This looks like your {what}.")
    return _really(state, room, text)


def _reaction(state: AppState, room: Room, text: str) -> list[Effect]:
    """React to the newest message, as in ``+:tada:``; anything else is text."""
    from lairchat.client.verbs_messages import react_to_last, reaction_in

    emoji = reaction_in(text)
    if not emoji or room.editor.target:
        return _send(state, room, text)
    wanted = react_to_last(state, emoji)
    state.history.add(room.editor.take())
    return wanted


def _secret_in(state: AppState, text: str) -> str:
    """Return which secret of the user stands in a text, empty if none does."""
    if state.trace is not None and state.trace.matches(text):
        return "password"
    if state.words_trace is not None and state.words_trace.matches(text):
        return "recovery words"
    return ""


def _check(state: AppState, room: Room, text: str) -> None:
    if not room.id:
        waits = state.phase not in {"online", "halted"}
        way = "it stays here until there is one" if waits else "Try: /join #lobby"
        raise CommandError(f"no room is open: {way}")
    why = outbox.closed(state, room) or outbox.refusal(text)
    if why:
        raise CommandError(why)
    if state.going in state.pending:
        typed = state.pending[state.going]
        raise CommandError(f"waiting for {typed[:40]}: the text goes along, press Enter there")


def _really(state: AppState, room: Room, text: str) -> list[Effect]:
    target = room.editor.target
    if target:
        from lairchat.client.verbs_messages import change

        wanted = change(state, room, target, text.strip("\n"))
        state.history.add(room.editor.take())
        return wanted
    state.history.add(room.editor.take())
    return outbox.send(state, room, text.strip("\n"))


def _hold(state: AppState, room: Room, why: str) -> list[Effect]:
    """Ask before something is sent that was probably not meant to be."""
    _check(state, room, room.editor.text)
    held = room.editor.text

    def accept(state: AppState) -> list[Effect]:
        if state.room is not room or room.editor.text != held:
            return []
        try:
            return _really(state, room, held)
        except CommandError as problem:
            notice(state, str(problem), error=True)
            return []

    ask(state, f"{why} Send this as a message?", accept)
    return []


def _command(state: AppState, room: Room, text: str) -> list[Effect]:
    from lairchat.client import commands

    word, rest = commands.split(text)
    if "\n" in text.strip() and word not in MULTILINE:
        return _hold(state, room, "This begins with / and has several lines.")
    what = next(filter(None, (_secret_in(state, one) for one in _told(word, rest))), "")
    if what:
        ask(
            state,
            f"This looks like your {what}. Run it?",
            lambda state: _run_asked(state, room, text),
        )
        return []
    return _run(state, room, text)


def _told(word: str, rest: str) -> list[str]:
    """Return what others would read of a command, each part as it could be a secret by itself."""
    if word == "poll":
        question, *answers = rest.split("|")
        # All of it as well: recovery words may stand in several of them.
        return [rest, question, question.strip().removeprefix("many "), *answers]
    # Any blank ends the first word, a line's end too.
    return [rest, *rest.split(None, 1)[1:]] if word in MULTILINE else []


def _run_asked(state: AppState, room: Room, text: str) -> list[Effect]:
    try:
        return _run(state, room, text)
    except CommandError as problem:
        notice(state, str(problem), error=True)
        return []


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
