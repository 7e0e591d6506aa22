"""Messages of ours that are not acknowledged: queueing, resending, taking back."""

from __future__ import annotations

from lairchat.client import effects
from lairchat.client.kit import notice, safe
from lairchat.client.state import OUTBOX, Item, Queued
from lairchat.client.wording import held_words
from lairchat.model import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Order, Room

__all__ = [
    "closed",
    "find",
    "queue",
    "refusal",
    "reply_line",
    "resend",
    "retire",
    "selected",
    "send",
    "take_back",
    "thread_of",
]


def closed(state: AppState, room: Room) -> str:
    """Return why nothing is sent in a room, and the next step; empty if something is."""
    if room.archived:
        from lairchat.model.refusals import RoomArchived

        return str(RoomArchived())
    waits = room.encrypted and room.label != "E2E!"  # what is typed meanwhile is queued
    return "" if waits else held_words(state, room)


def refusal(text: str) -> str:
    """Return why a text cannot be sent at all; empty if it can."""
    if len(text) > limits.MESSAGE_CHARS:
        return (
            f"the message has {len(text):,} characters, {limits.MESSAGE_CHARS:,} is the limit: "
            "shorten it. Nothing was sent."
        )
    if len(text.encode("utf-8", "replace")) > limits.MESSAGE_BYTES:
        return (
            f"the message is larger than {limits.MESSAGE_BYTES:,} bytes: shorten it. "
            "Nothing was sent."
        )
    return ""


def queue(
    state: AppState, ticket: int, room_id: int, text: str, at: int, *, action: bool
) -> Queued:
    """Put a message into the outbox, in order of tickets."""
    kind = "action" if action else "text"
    item = Item((OUTBOX, ticket), at, "", safe(text, multiline=True), kind)
    item.sender = state.me.name if state.me is not None else ""
    item.own = True
    item.mark = ".."
    queued = Queued(ticket, room_id, text, item, action=action)
    state.outbox.append(queued)
    state.outbox.sort(key=lambda one: one.ticket)
    return queued


def reply_line(sender: str, text: str) -> str:
    """Return what stands above an answer: who is answered, and how that began; both safe to show."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return f"{sender}: {first}" if sender else first


def thread_of(item: Item) -> tuple[Order, str]:
    """Return the thread that a message stands in, or begins: the order of its root, and its line."""
    if item.thread is not None:
        return item.thread, item.began
    return item.order, reply_line(item.sender, item.text)


def send(
    state: AppState,
    room: Room,
    text: str,
    *,
    action: bool = False,
    answered: Item | None = None,
    within: Item | None = None,
) -> list[Effect]:
    """Queue a message and show it; the caller has checked it.

    answered: what it answers.  within: what begins the thread that it goes into, or stands in it.
    """
    ticket = state.number()
    item = queue(state, ticket, room.id, text, state.now, action=action).item
    if answered is not None:
        item.answers = answered.order
        item.reply = reply_line(answered.sender, answered.text)
    if within is not None:
        item.thread, item.began = thread_of(within)
    state.sent += 1
    room.scroll = None
    if state.phase != "online":
        notice(state, "not connected: the message is queued and leaves when the connection is back")
    else:
        state.note = None
    reply = 0 if answered is None else answered.order[0]
    thread = 0 if within is None else within.order[0]
    return [effects.Send(ticket, room.id, text, action, reply, thread)]


def find(state: AppState, ticket: int) -> Queued | None:
    """Return the queued message of this ticket."""
    return next((one for one in state.outbox if one.ticket == ticket), None)


def retire(state: AppState, ticket: int) -> Queued | None:
    """Take a message out of the outbox: it is stored, or dropped."""
    queued = find(state, ticket)
    if queued is not None:
        state.outbox.remove(queued)
        if state.selected == queued.item.order:
            state.selected = None
        room = state.rooms.get(queued.room)
        if room is not None and room.scroll is not None and room.scroll[0] == queued.item.order:
            room.scroll = None
    return queued


def selected(state: AppState) -> Queued | None:
    """Return the queued message that is selected, if one is."""
    if state.selected is None or state.selected[0] != OUTBOX:
        return None
    return find(state, state.selected[1])


def resend(state: AppState) -> list[Effect]:
    """Try the selected failed message again."""
    queued = selected(state)
    if queued is None or queued.item.mark != "x":
        notice(state, "only a message marked x, failed, can be sent again")
        return []
    room = state.rooms.get(queued.room)
    why = closed(state, room) if room is not None else ""
    if why:
        notice(state, why, error=True)
        return []
    queued.item.mark, queued.item.why, queued.item.memo = "..", "", None
    state.selected = None
    return [effects.Resend(queued.ticket)]


def take_back(state: AppState) -> list[Effect]:
    """Put the selected failed message back into the input."""
    queued = selected(state)
    if queued is None or queued.item.mark != "x":
        notice(state, "only a message marked x, failed, can be taken back")
        return []
    room = state.rooms.get(queued.room)
    editor = (room or state.room).editor
    if editor.text:
        state.history.add(editor.take())
        notice(state, "what was in the input is in the history: Up")
    editor.set(_command(room, queued) + queued.text)
    retire(state, queued.ticket)
    return [effects.Discard(queued.ticket)]


def _command(room: Room | None, queued: Queued) -> str:
    """Return what was typed before the text, as far as it is known."""
    item = queued.item
    if queued.action:
        return "/me "
    if item.thread is not None:
        return f"/thread #{_place_in(room, item.thread)} "
    return "" if item.answers is None else f"/reply #{item.answers[0]} "


def _place_in(room: Room | None, thread: Order) -> int:
    """Return the place of a message of a thread, of one that is loaded if any is.

    0, which is no message's, if none is known: the command says so then, and the text does not go to
    the room instead.
    """
    for item in room.window.items if room is not None else ():
        if item.counts and thread in (item.order, item.thread):
            return item.order[0]
    return max(thread[0], 0)
