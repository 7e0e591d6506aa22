"""Tells the others in an encrypted room that the user types, and that it is over.

Only there: in rooms that the server reads, it would know who hesitates.
"""

from __future__ import annotations

from lairchat.client.effects_sealed import Typing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room

__all__ = ["typed"]

AGAIN_MS = 4_000
"""Between two notices while somebody types on; those who see it drop it after six seconds."""


def typed(state: AppState, room: Room, before: str) -> list[Effect]:
    """Return what to tell after a key: ``before`` is what stood in the input then."""
    text = room.editor.text
    if text == before or not room.encrypted:
        return []
    if not text or not _is_said(text) or not state.settings.typing:
        return _stopped(room)
    fresh = room.typing_at is None or state.now - room.typing_at >= AGAIN_MS
    if not fresh or state.phase != "online" or room.label in {"E2E!", "E2E?"}:
        return []
    room.typing_at = state.now
    return [Typing(room.id, True)]


def _is_said(text: str) -> bool:
    """Tell whether what is typed is for the others; of a thread that is only looked at nothing is."""
    if text.startswith("/thread #"):
        return len(text.split(None, 2)) > 2
    return not text.lstrip().startswith("/") or text.startswith(("//", "/reply #"))


def _stopped(room: Room) -> list[Effect]:
    if room.typing_at is None:
        return []
    room.typing_at = None
    return [Typing(room.id, False)]
