"""Applies what the link reports of rooms and the people in them.

Every text from outside passes ``safe`` here, before anything keeps it.
"""

from __future__ import annotations

from lairchat.client import inputs as i
from lairchat.client.dialogs import Page
from lairchat.client.kit import (
    find_room,
    in_order,
    new_room,
    notice,
    open_room,
    safe,
    say,
)
from lairchat.client.reading import drop_line, fetch_latest, fetch_people, mark_read
from lairchat.client.wording import (
    held_words,
    join_notice,
    label_words,
    member_lines,
    room_lines,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lairchat.client.effects import Effect
    from lairchat.client.state import AppState, Room


def take_info(room: Room, info: i.RoomInfo) -> None:
    """Copy what the server says about a room."""
    room.name = safe(info.name)
    room.direct = info.direct
    room.topic = safe(info.topic)
    room.role, room.access, room.label = safe(info.role), safe(info.access), safe(info.label)
    room.archived, room.hold = info.archived, safe(info.hold)
    room.unread = info.unread
    if not room.window.items:
        room.mentions = info.mentions
    elif not info.unread:
        room.mentions = 0
    room.members = info.members
    if info.here is not None:
        room.here = info.here
    room.read_seq = max(room.read_seq, info.read_seq)
    room.head_seq = max(room.head_seq, info.head_seq)


def rooms_synced(state: AppState, event: i.RoomsSynced) -> list[Effect]:
    """Take the complete list; rooms that are not in it any more are left."""
    ids = {info.id for info in event.rooms}
    for room_id in [room_id for room_id in state.rooms if room_id not in ids]:
        remove_room(state, room_id)
    state.synced = True
    for info in event.rooms:
        room = state.rooms.get(info.id)
        if room is None:
            room = state.rooms[info.id] = new_room(state, info.id, "", direct=info.direct)
        take_info(room, info)
    if state.current is not None:
        room = state.room
        wanted = fetch_latest(state, room) if not room.window.loaded else []
        return fetch_people(state) + wanted + mark_read(state)
    return show_some_room(state)


def show_some_room(state: AppState) -> list[Effect]:
    """Show the room that was shown last, the lobby, or the first one."""
    if not state.rooms:
        return []
    room = (
        (find_room(state, state.wanted) if state.wanted else None)
        or find_room(state, "#lobby")
        or in_order(state)[0]
    )
    wanted = open_room(state, room)
    join_notice(state, room)
    return wanted


def remove_room(state: AppState, room_id: int) -> None:
    """Forget a room; what was typed in it goes to the history."""
    room = state.rooms.pop(room_id)
    state.history.add(room.editor.take())
    if state.previous == room_id:
        state.previous = None
    if state.current == room_id:
        state.current = state.selected = None
        state.moved_at = state.now  # the next room takes what is being typed


def room_joined(state: AppState, event: i.RoomJoined) -> list[Effect]:
    """We are in one more room."""
    state.pending.pop(event.ref, None)
    info = event.room
    room = state.rooms.get(info.id)
    if room is None:
        room = state.rooms[info.id] = new_room(state, info.id, "", direct=info.direct)
    take_info(room, info)
    if not event.show:
        notice(state, f"you are now in {room.title}. Alt-A or /join {room.title} goes there.")
        return []
    typed = ""
    if event.ref and event.ref == state.going and not room.editor.text:
        typed = state.room.editor.take()  # typed while waiting for this room, and meant for it
    wanted = open_room(state, room)
    if typed:
        room.editor.set(typed)
    join_notice(state, room)
    text = state.chain.pop(event.ref, "")
    if text:
        wanted += _send_there(state, room, text)
    return wanted


def _send_there(state: AppState, room: Room, text: str) -> list[Effect]:
    """Send what was typed for a room that opened, or leave it in the input with the reason."""
    from lairchat.client.outbox import closed, send

    why = closed(state, room)
    if not why:
        return send(state, room, text)
    if room.editor.text:
        state.history.add(text)
    else:
        room.editor.set(text)
    notice(state, why, error=True)
    return []


def room_left(state: AppState, event: i.RoomLeft) -> list[Effect]:
    """We are not in that room any more."""
    asked = state.pending.pop(event.ref, None) is not None
    room = state.rooms.get(event.room)
    if room is None:
        return []
    was_shown = state.current == room.id
    lost = room.editor.text.strip() and "  What you were typing is in the history: Up."
    remove_room(state, event.room)
    if asked:
        state.moved_at = None
    wanted = show_some_room(state) if was_shown else []
    notice(state, (safe(event.text) or f"you left {room.title}") + (lost or ""))
    return wanted


def room_changed(state: AppState, event: i.RoomChanged) -> list[Effect]:
    """Something about a room changed."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    before = (room.label, room.hold)
    for name in ("name", "topic", "role", "label", "hold"):
        value = getattr(event, name)
        if value is not None:
            setattr(room, name, safe(value))
    for name in ("members", "here", "archived"):
        value = getattr(event, name)
        if value is not None:
            setattr(room, name, value)
    if state.journal is not None and before != (room.label, room.hold):
        words = held_words(state, room) or label_words(room.label)
        say(state, f"{room.title} is {room.label}: {words}", room)
    return []


def members_listed(state: AppState, event: i.MembersListed) -> list[Effect]:
    """Who is in a room."""
    room = state.rooms.get(event.room)
    asked = state.pending.pop(event.ref, None) is not None
    if room is None:
        return []
    room.people = {
        safe(one.name): i.Member(safe(one.name), safe(one.role), one.here) for one in event.members
    }
    room.members = len(room.people)
    room.here = sum(one.here for one in room.people.values())
    if asked:
        say(state, member_lines(room), room)
    return []


def presence_changed(state: AppState, event: i.PresenceChanged) -> list[Effect]:
    """Somebody came or went."""
    name = safe(event.name)
    for room in state.rooms.values():
        known = room.people.get(name)
        if known is not None and known.here != event.here:
            room.people[name] = i.Member(name, known.role, event.here)
            room.here = sum(one.here for one in room.people.values())
    return []


def rooms_listed(state: AppState, event: i.RoomsListed) -> list[Effect]:
    """The answer to /rooms: a page to read."""
    asked = state.pending.pop(event.ref, None) is not None
    lines = room_lines(event.rooms)
    if state.journal is not None:
        say(state, "\n".join(lines))
    elif asked:
        state.dialogs.append(Page(f"Rooms on {state.server}", lines))
    return []


def unread_changed(state: AppState, event: i.UnreadChanged) -> list[Effect]:
    """The server's count for a room."""
    room = state.rooms.get(event.room)
    if room is None:
        return []
    room.unread, room.mentions = event.unread, event.mentions
    if not event.unread and state.current != room.id:
        drop_line(room)
    return mark_read(state) if state.current == room.id else []
