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
    room = need_sealed(state)
    first = call.word("what is wrong")
    if not first.startswith("#"):
        reason = f"{first} {call.rest()}".strip()
        return _change(state, room, _fitting(reason), call.typed)
    item = numbered(room, first)
    if item.own:
        raise CommandError("that is your own message: /delete takes it back")
    reason = call.rest().strip()
    if not reason:
        call.word("what is wrong with it")
    return _message(state, room, item, _fitting(reason), call.typed)


def _fitting(reason: str) -> str:
    if len(reason) > REASON_CHARS:
        raise CommandError(
            f"a reason has {REASON_CHARS} characters at most, this one {len(reason)}: shorten it"
        )
    return reason


def _message(state: AppState, room: Room, item: Item, reason: str, typed: str) -> list[Effect]:
    need_online(state)
    room_id, order, shown = room.id, item.order, (item.edited, item.kind)

    def really(state: AppState) -> list[Effect]:
        found = state.rooms.get(room_id)
        items = [] if found is None else found.window.items
        if not any(one.order == order and (one.edited, one.kind) == shown for one in items):
            # What is shown to operators is what its reader agreed to, not what it has become.
            notice(state, "the message has changed meanwhile: look at it again", error=True)
            return []
        return [Report(request(state, typed), room_id, order[0], reason)]

    ask(
        state,
        f"Report #{order[0]}? The operators of this server will read this one message, with proof that"
        f" {item.sender} wrote it, your reason and your name. It cannot be taken back.",
        really,
    )
    return []


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
