"""Messages and pages that come in: placed by sequence number, once, and counted."""

from __future__ import annotations

from bisect import bisect_left

from lairchat.client import inputs as i
from lairchat.client.effects import Bell, Effect
from lairchat.client.kit import ITEMS_KEPT, notice, safe, show_error, tell
from lairchat.client.outbox import find, queue, reply_line, retire
from lairchat.client.reading import (
    drop_line,
    fetch_people,
    mark_read,
    set_line,
    settle_goal,
)
from lairchat.client.state import LAST_ROW, Item
from lairchat.client.timeline import order_of
from lairchat.client.wording import reaction_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.state import AppState, Room, Window

__all__ = [
    "acknowledged",
    "arrived",
    "change",
    "cursor_moved",
    "mentions",
    "page_came",
    "refused",
    "remove",
    "restored",
]

GONE = "a message that is not here"
BELL_MS = 1_000  # between two rings; catching up shall not sound like an alarm


def mentions(text: str, name: str) -> bool:
    """Tell whether a text calls somebody: @name, not as a part of a longer word."""
    lowered, wanted = text.lower(), "@" + name.lower()
    at = lowered.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        before, after = lowered[at - 1 : at] if at else "", lowered[end : end + 1]
        if not _in_name(before) and not _in_name(after):
            return True
        at = lowered.find(wanted, at + 1)
    return False


def _in_name(character: str) -> bool:
    return character.isalnum() or character in {"_", "-"} if character else False


def make_item(state: AppState, message: i.Message) -> Item:
    """Return the timeline entry of a message."""
    text = safe(message.text, multiline=True)
    kind = message.kind if message.kind in {"text", "action", "state", "gone"} else "text"
    if kind == "gone":
        text = "message deleted"
    item = Item((message.seq, 0), message.at, safe(message.sender), text, kind)
    if state.me is not None and item.counts:
        item.own = item.sender == state.me.name
        item.mention = not item.own and mentions(text, state.me.name)
    if item.own:
        item.mark = "v"
    if item.counts:
        item.edited = message.edited
        item.poll = message.poll
        item.reactions = tuple((safe(emoji), count, own) for emoji, count, own in message.reactions)
        _quote(item, message)
    return item


def _quote(item: Item, message: i.Message | i.OutboxItem) -> None:
    """Say above a message what it answers, and what began its thread."""
    if message.reply is not None:
        seq, sender, text = message.reply
        item.answers = (seq, 0) if seq else None
        item.reply = reply_line(safe(sender), safe(text, multiline=True))
    if message.thread is not None:
        seq, sender, text = message.thread
        item.thread = (seq, 0)
        item.began = reply_line(safe(sender), safe(text, multiline=True))


def place(window: Window, item: Item) -> bool:
    """Put an item where its sequence number belongs; False when it is there already."""
    items = window.items
    if not items or items[-1].order < item.order:
        items.append(item)
        return True
    at = bisect_left(items, item.order, key=order_of)
    if at < len(items) and items[at].order == item.order:
        return False
    items.insert(at, item)
    return True


def arrived(state: AppState, event: i.MessageArrived) -> list[Effect]:
    """Take a new message at the head of a room."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    if event.message.ticket and retire(state, event.message.ticket) is not None:
        state.stored += 1
    item = make_item(state, event.message)
    room.typing.pop(item.sender, None)
    fresh = event.message.seq > room.head_seq
    room.head_seq = max(room.head_seq, event.message.seq)
    if not room.window.newer:
        if not place(room.window, item):
            return []
        _trim_old(room)
    if state.journal is not None:
        tell(state, room, item)
    changes: list[Effect] = []
    if item.kind == "state":
        room.people_stale = True
        changes = fetch_people(state)
    if room.id == state.current:
        reads = mark_read(state)
        if reads or room.read_seq >= event.message.seq:
            return changes + reads
    return changes + _count(state, room, item, fresh=fresh)


def change(state: AppState, room: Room, message: i.Message) -> None:
    """Put what a message is now in its place; one that is not loaded comes so when it is."""
    items = room.window.items
    at = bisect_left(items, (message.seq, 0), key=order_of)
    if at == len(items) or items[at].order != (message.seq, 0):
        return
    was, item = items[at], make_item(state, message)
    items[at] = item
    _quote_anew(room, item)
    if item.kind == "gone" and state.selected == item.order and room.id == state.current:
        state.selected = None
    if state.journal is not None:
        tell(state, room, Item(item.order, state.now, "", _news(was, item), "state"))


def _quote_anew(room: Room, answered: Item) -> None:
    """Let answers to a message, and its thread, quote what it says now: nothing if it was deleted."""
    line = reply_line("" if answered.kind == "gone" else answered.sender, answered.text)
    for item in room.window.items:
        if item.answers == answered.order:
            item.reply, item.memo = line, None
        if item.thread == answered.order:
            item.began, item.memo = line, None


def _news(was: Item, item: Item) -> str:
    """Return what changed, for who reads lines and cannot see it change."""
    number, who = item.order[0], "you" if item.own else item.sender
    if item.kind == "gone":
        return f"message #{number} was deleted"
    if item.text != was.text:
        return f"{who} edited #{number}: {item.text}"
    return f"reactions to #{number}: {reaction_words(item) or '(none)'}"


def remove(state: AppState, room: Room, seqs: frozenset[int]) -> None:
    """Take messages away; what is on the screen stays where it is."""
    window = room.window
    gone = {(seq, 0) for seq in seqs}
    if room.scroll is not None and room.scroll[0] in gone:
        at = bisect_left(window.items, room.scroll[0], key=order_of)
        above = next((one for one in reversed(window.items[:at]) if one.order not in gone), None)
        room.scroll = (above.order, LAST_ROW) if above is not None else None
    if room.id == state.current and state.selected in gone:
        state.selected = None
    window.items[:] = [item for item in window.items if item.order not in gone]
    for item in window.items:
        if item.answers in gone:
            item.answers, item.reply, item.memo = None, GONE, None
        if item.thread in gone:
            item.began, item.memo = GONE, None


def _count(state: AppState, room: Room, item: Item, *, fresh: bool) -> list[Effect]:
    """Count a message that nobody saw; ring if it is meant for the user."""
    if not item.counts or item.own or item.order[0] <= room.read_seq:
        return []
    if fresh:
        room.unread += 1
    if item.mention:
        room.mentions += 1
    if room.id == state.current:
        if room.line is None or room.line_seen:
            set_line(room, 1)
        else:
            room.line_count += 1
    elif room.line is not None and not room.line_seen:
        room.line_count += fresh
    wanted = item.mention or room.direct
    if not wanted or not state.settings.bell or state.now - state.rung_at < BELL_MS:
        return []
    state.rung_at = state.now
    return [Bell()]


def _trim_old(room: Room) -> None:
    """Bound what a busy room keeps; what goes is fetched again when somebody scrolls there."""
    window = room.window
    if len(window.items) > ITEMS_KEPT + 1_000 and room.scroll is None:
        del window.items[: len(window.items) - ITEMS_KEPT]
        window.older = True


def page_came(state: AppState, event: i.HistoryPage) -> list[Effect]:
    """Take a page of history."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    window = room.window
    side, window.fetching = window.fetching, ""
    items = [make_item(state, message) for message in event.messages]
    if event.replace:
        _replace(room, items, older=event.older, newer=event.newer)
    else:
        for item in items:
            place(window, item)
        if side == "after":
            window.newer = event.newer
        else:
            window.older = event.older
        if side != "after" and len(window.items) > ITEMS_KEPT:
            del window.items[ITEMS_KEPT:]
            window.newer = True
    if window.items and not window.newer:
        room.head_seq = max(room.head_seq, window.head)
    return settle_goal(state, room) + (mark_read(state) if room.id == state.current else [])


def _replace(room: Room, items: list[Item], *, older: bool, newer: bool) -> None:
    """Start a window anew from a page; what arrived behind it meanwhile stays."""
    window = room.window
    last = items[-1].order if items else (0, 0)
    rest = [] if newer else [item for item in window.items if item.order > last]
    notes = [item for item in window.items if item.order[1] > 0 and item.order <= last]
    window.items = sorted(items + notes, key=order_of) + rest
    window.loaded, window.older, window.newer = True, older, newer
    room.cleared = None
    room.scroll = None


def acknowledged(state: AppState, event: i.SendAcknowledged) -> list[Effect]:
    """Our message is stored: it gets its place, its time and its mark."""
    queued = retire(state, event.ticket)
    if queued is None:
        return []
    state.stored += 1
    room = state.rooms.get(queued.room)
    if room is None:
        return []
    item = queued.item
    item.order, item.at = (event.seq, 0), event.at
    item.mark, item.why, item.memo = "v", "", None
    room.head_seq = max(room.head_seq, event.seq)
    if not room.window.newer:
        place(room.window, item)
    return mark_read(state) if room.id == state.current else []


def refused(state: AppState, event: i.SendRefused) -> list[Effect]:
    """Our message was refused: for now, or for good."""
    queued = find(state, event.ticket)
    if queued is None:
        return []
    if event.retry_after is not None:
        show_error(state, event.code, _held_up(state, event.text, event.retry_after))
        return []
    item = queued.item
    item.mark, item.memo = "x", None
    item.why = f"not sent: {safe(event.code)}  {safe(event.text)}"
    room = state.rooms.get(queued.room)
    where = f" in {room.title}" if room is not None and room.id != state.current else ""
    notice(state, f"a message{where} was not sent: {safe(event.text)}", error=True)
    return []


def _held_up(state: AppState, text: str, seconds: float) -> str:
    """Return why messages wait, without the server's advice to try again: the link does that."""
    for end in (". ", ": ", ", "):
        text = text.partition(end)[0]
    waiting = sum(1 for one in state.outbox if one.item.mark == "..")
    count = f"{waiting} message{'s' * (waiting != 1)}"
    return f"{text}: {count} queued, next try in {seconds:.1f} s. Nothing is lost."


def restored(state: AppState, event: i.OutboxRestored) -> list[Effect]:
    """Messages that were queued when the client ended the last time."""
    for one in event.items:
        if find(state, one.ticket) is not None:
            continue
        queued = queue(state, one.ticket, one.room, one.text, one.at, action=one.action)
        _quote(queued.item, one)
        if one.failed:
            queued.item.mark, queued.item.why = "x", f"not sent: {safe(one.failed)}"
    state.sent += len(event.items)
    if event.items:
        count = len(event.items)
        notice(state, f"{count} message{'s' * (count != 1)} from last time still queued")
    return []


def cursor_moved(state: AppState, event: i.CursorMoved) -> list[Effect]:
    """Another device of ours read on."""
    room = state.rooms.get(event.room)
    if room is None or event.seq < room.read_seq:
        return []
    room.read_seq = event.seq
    room.unread = event.unread
    if not event.unread:
        room.mentions = 0
        if room.id != state.current or room.line_seen:
            drop_line(room)
    return []
