"""Threads of encrypted rooms: speaking in one, and the page that shows one as far as it is loaded."""

from __future__ import annotations

from lairchat.client import outbox
from lairchat.client.dialogs import Choices
from lairchat.client.kit import CommandError, notice, show
from lairchat.client.state import OUTBOX
from lairchat.client.verbs_messages import numbered, on_selected, put_before
from lairchat.client.verbs_sealed import need_sealed
from lairchat.client.wording import date_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lairchat.client.call import Call
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Item, Room

__all__ = ["thread", "thread_selected"]

INDENT = "    "  # of a message's further lines: none of them can look like another message


def thread(state: AppState, call: Call) -> list[Effect]:
    """Say something in the thread of a message, or show that thread."""
    room = need_sealed(state)
    item = numbered(room, call.word("#N"))
    text = call.rest().strip("\n")
    if not text:
        show(state, Choices("Thread", list(_lines(state, room, item))))
        return []
    why = outbox.refusal(text) or outbox.closed(state, room)
    if why:
        raise CommandError(why)
    return outbox.send(state, room, text, within=item)


def thread_selected(state: AppState) -> list[Effect]:
    """Begin a message in the thread of the selected one in the input."""
    return on_selected(state, _begin)


def _begin(state: AppState, room: Room, item: Item) -> list[Effect]:
    put_before(room, f"/thread #{item.order[0]}")
    notice(state, "what you type goes into this thread; Enter alone shows it")
    return []


# -- the page ----------------------------------------------------------------------------------------


def _lines(state: AppState, room: Room, item: Item) -> Iterator[str]:
    """Return what is loaded of the thread of a message, oldest first."""
    root, began = outbox.thread_of(item)
    window = room.window
    first = next((one for one in window.items if one.counts and one.order == root), None)
    yield from [began] if first is None else _rows(state, first)
    yield ""
    queued = [one.item for one in state.outbox if one.room == room.id]
    # Who picks the id of a message can say that it stands in its own thread.
    within = [one for one in window.items if one.thread == root and one.order != root]
    within += [one for one in queued if one.thread == root]
    for one in within:
        yield from _rows(state, one)
    if not within:
        yield f"nothing is said in this thread yet: /thread #{item.order[0]} TEXT does"
    if window.newer or (first is None and window.older):
        yield "(this is what is loaded: there may be more. /goto #N loads what is around a message)"


def _rows(state: AppState, item: Item) -> Iterator[str]:
    """Return a message in lines: when, where, who, what."""
    number = item.mark if item.order[0] >= OUTBOX else f"#{item.order[0]}"
    who = "you" if item.own else item.sender
    who = f"* {who}" if item.kind == "action" else f"{who}:"
    text = item.text + " (edited)" * (item.edited > 0)
    first, *rest = text.split("\n")
    yield f"{date_of(state, item.at, clock=True)}  {number}  {who} {first}"
    yield from (INDENT + line for line in rest)
