"""Showing a message of an encrypted room to the operators, who cannot see it otherwise.

It cannot be taken back, so it asks once, and says who will see what.
"""

from __future__ import annotations

from lairchat.client.effects_sealed import Report
from lairchat.client.kit import CommandError, ask, need_online, notice, request
from lairchat.client.verbs_messages import numbered, on_selected
from lairchat.client.verbs_sealed import need_sealed
from lairchat.model.limits import REASON_CHARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Item, Room

__all__ = ["report", "report_selected"]


def report(state: AppState, call: Call) -> list[Effect]:
    """Report a message, or in a room that is held the change that was refused, after a question."""
    first = call.optional()
    if first[:1].isdigit() and "#" in first:
        return _message(state, *_left(state, first), call)
    room = need_sealed(state)
    first = first or call.word("what is wrong")
    if not first.startswith("#"):
        reason = f"{first} {call.rest()}".strip()
        return _change(state, room, _fitting(reason), call.typed)
    return _message(state, room.id, numbered(room, first), call)


def _left(state: AppState, word: str) -> tuple[int, Item]:
    """Return (room, message) of a place as /search names it in a room that one is not in any more.

    Only of what the last search has shown: nobody shows operators what they have not just seen.
    """
    for (room, seq), item in state.found.items():
        if word == f"{room}#{seq}" and room not in state.rooms:
            return room, item
    raise CommandError(f"the last search has found no {word[:20]} in a room you left. Try: /search")


def _fitting(reason: str) -> str:
    if len(reason) > REASON_CHARS:
        raise CommandError(
            f"a reason has {REASON_CHARS} characters at most, this one {len(reason)}: shorten it"
        )
    return reason


def _message(state: AppState, room_id: int, item: Item, call: Call) -> list[Effect]:
    if item.own:
        raise CommandError("that is your own message: /delete takes it back")
    reason = _fitting(call.rest().strip() or call.word("what is wrong with it"))
    need_online(state)
    order, shown, typed = item.order, (item.edited, item.kind), call.typed

    def really(state: AppState) -> list[Effect]:
        items = _items(state, room_id, order)
        if not any(one.order == order and (one.edited, one.kind) == shown for one in items):
            # What is shown to operators is what its reader agreed to, not what it has become.
            notice(state, "the message has changed meanwhile: look at it again", error=True)
            return []
        return [Report(request(state, typed), room_id, order[0], reason, shown[0])]

    ask(
        state,
        f"Report #{order[0]}? The operators of this server will read this one message, with proof that"
        f" {item.sender} wrote it, your reason and your name. It cannot be taken back.",
        really,
    )
    return []


def _items(state: AppState, room_id: int, order: tuple[int, int]) -> list[Item]:
    """Return what there is of a room: what is loaded, or one message that a search has found."""
    room = state.rooms.get(room_id)
    if room is not None:
        return room.window.items
    found = state.found.get((room_id, order[0]))
    return [] if found is None else [found]


def _change(state: AppState, room: Room, reason: str, typed: str) -> list[Effect]:
    if room.label != "E2E!":
        raise CommandError("which message? With its number: /report #120 what is wrong with it")
    need_online(state)
    room_id = room.id

    def really(state: AppState) -> list[Effect]:
        return [Report(request(state, typed), room_id, 0, reason)]

    ask(
        state,
        f"Report the change that was refused in {room.title}? The operators of this server will learn"
        " who made it and why it was refused, your reason and your name; nothing that was said.",
        really,
    )
    return []


def report_selected(state: AppState) -> list[Effect]:
    """Begin a report of the selected message in the input."""
    return on_selected(state, _begin)


def _begin(state: AppState, room: Room, item: Item) -> list[Effect]:
    if item.own:
        raise CommandError("that is your own message: d deletes it")
    if room.editor.text:
        raise CommandError("finish what is in the input first, or Ctrl-C puts it into the history")
    room.editor.set(f"/report #{item.order[0]} ")
    notice(state, "say what is wrong with it; Enter then asks before anything is shown")
    return []
