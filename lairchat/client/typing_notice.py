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
    command = text.lstrip().startswith("/") and not text.startswith(("//", "/reply #"))
    if not text or command or not state.settings.typing:
        return _stopped(room)
    fresh = room.typing_at is None or state.now - room.typing_at >= AGAIN_MS
    if not fresh or state.phase != "online" or room.label in {"E2E!", "E2E?"}:
        return []
    room.typing_at = state.now
    return [Typing(room.id, True)]


def _stopped(room: Room) -> list[Effect]:
    if room.typing_at is None:
        return []
    room.typing_at = None
    return [Typing(room.id, False)]
