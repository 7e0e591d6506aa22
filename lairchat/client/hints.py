"""What the row below the input says: choices of Tab, the usage of a command, the length of a draft."""

from __future__ import annotations

from lairchat.model.limits import MESSAGE_CHARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState, Completion

__all__ = ["MESSAGE_WARN", "hint_text"]

MESSAGE_WARN = 3_500
"""characters: from here on the length is shown, before the limit hits."""

EDITING = "(Enter changes your message, Esc leaves it as it was)"


def hint_text(state: AppState, *, narrow: bool, room: int) -> str:
    """Return what there is to say about the text in the input, empty for nothing.

    room: cells of the input's first row; a longer text has several rows.
    A narrow screen spares the row where the text is not at a limit.
    """
    text = state.room.editor.text
    if state.completion is not None:
        return _choices(state.completion)
    if state.room.editor.target:
        return "Enter changes it, Esc leaves it" if narrow else EDITING
    if len(text) > MESSAGE_WARN or (not narrow and ("\n" in text or len(text) > room)):
        lines = state.room.editor.lines()
        over = "  TOO LONG" if len(text) > MESSAGE_CHARS else ""
        count = f"{lines} line{'s' * (lines != 1)} {len(text)}/{MESSAGE_CHARS}{over}"
        return count if narrow else f"(Enter send, ^C cancel)  {count}"
    if text.startswith("/") and not text.startswith("//"):
        return _usage(text)
    return ""


def _choices(known: Completion) -> str:
    """Return the choices from the one that stands in the input on, so that it is never cut off."""
    start = max(0, known.index - 1)
    shown = [
        f"[{choice}]" if n == known.index else choice for n, choice in enumerate(known.choices)
    ]
    return "  ".join([*shown[start:], *shown[:start]])


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
