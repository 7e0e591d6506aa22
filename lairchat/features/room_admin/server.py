"""Answers operators about rooms; nothing here reads what is written in one.

Of an encrypted room they learn that it is there, how many are in it and how much it takes; they can put
it away or delete it.  Everything else in it is its members' own.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection
from twisted.logger import Logger

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel, event_frame
from lairchat.core.plan import Answer, Done, Read, Write
from lairchat.features.accounts import tables as accounts
from lairchat.features.accounts.tables import User
from lairchat.features.delivery import tables as groups
from lairchat.features.messages import rules as log_rules
from lairchat.features.messages.messages import MESSAGE, StateChange
from lairchat.features.room_admin import messages, rules, tables
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import ROOM_LEFT, RoomLeft
from lairchat.features.rooms.tables import Room
from lairchat.model import limits, refusals
from lairchat.model.ids import LOCAL_OPERATOR, RoomId, SessionId, UserId
from lairchat.model.phrases import counted
from lairchat.model.roles import RoomRole
from lairchat.storage import log as room_log
from lairchat.wire.contract import Outcome

ERASE_STEP = 500
"""count: events of a deleted room that one transaction empties; others' fit in between."""

NOBODY = UserId(0)
SERVER = "the server"

log = Logger()


def find(connection: Connection, name: str) -> Room:
    """Return the room of this name, written with or without ``#``, or the encrypted one so numbered.

    Raises RoomNameUnknown.
    """
    number = rules.number_of(name)
    if number is not None:
        room = rooms.encrypted_room(connection, number)
    else:
        seen = rooms.seen_by_name(connection, name.removeprefix("#").lower(), NOBODY)
        room = seen[0] if seen else None
    if room is None:
        raise refusals.RoomNameUnknown(name=name, field="$.room")
    return room


def find_plain(connection: Connection, name: str) -> Room:
    """Return a room that the server can read; raises RoomNameUnknown, RoomEncrypted.

    What there is to know of the members of an encrypted room stands in its signed policy, and what is
    said in it the server has not got: it is the members' to tell.
    """
    room = find(connection, name)
    if room.encrypted:
        raise refusals.RoomEncrypted(field="$.room")
    return room


def called(room: Room) -> str:
    """Return what operators call a room."""
    return rules.called(room.name, room.id, encrypted=room.encrypted)


def shown(room: Room) -> str:
    """Return what a sentence calls a room."""
    return rules.shown(room.name, room.id, encrypted=room.encrypted)


def find_anybodys(connection: Connection, name: str) -> Room:
    """Return a room that is not the server's own; raises RoomNameUnknown, RoomKept."""
    room = find(connection, name)
    if room.servers_own:
        raise refusals.RoomKept(name=room.name, field="$.room")
    return room


def author(call: Call) -> str:
    """Return who a room is told did it."""
    session = call.session
    return SERVER if session.user == LOCAL_OPERATOR else session.name


def last_of(connection: Connection, room: RoomId) -> int:
    """Return when something happened in a room last, ms; every room begins with a statement."""
    events = room_log.page(connection, room, limit=1)
    return events[0].at if events else 0


def messages_of(connection: Connection, found: list[Room]) -> dict[int, int]:
    """Count what was said in these rooms."""
    heads = room_log.heads(connection, [room.id for room in found])
    return {room: head.messages for room, head in heads.items()}


# -- looking


def list_rooms(_call: Call, request: messages.ListRooms) -> Read[messages.RoomList]:
    """List all rooms by name, and behind them the encrypted ones by number."""
    number = rules.number_of(request.after)

    def query(connection: Connection) -> messages.RoomList:
        wanted = limits.OPERATOR_PAGE + 1
        found = [] if number is not None else rooms.every_room(connection, request.after, wanted)
        found += rooms.every_encrypted(
            connection, number or 0, wanted - len(found), direct=request.direct
        )
        page = found[: limits.OPERATOR_PAGE]
        counts = messages_of(connection, page)
        told = [
            messages.RoomInfo(
                name=called(room),
                kind=room.kind,
                access=room.access,
                crypto=room.crypto,
                members=room.members,
                messages=counts[room.id],
                last=last_of(connection, room.id),
                state="archived" if room.archived else "ok",
            )
            for room in page
        ]
        more = len(found) > len(page)
        return messages.RoomList(rooms=told, next=called(page[-1]) if more else None)

    return Read(query)


class Seen(NamedTuple):
    """A room as the database knows it."""

    room: Room
    owners: int
    devices: int
    size: int
    messages: int
    made: int
    maker: str
    last: int


async def show_room(call: Call, request: messages.ShowRoom) -> Answer[messages.RoomDetails]:
    """Show one room; who is connected is known here, on the reactor's thread."""

    def query(connection: Connection) -> Seen:
        room = find(connection, request.room)
        names = accounts.names_of(connection, [room.created_by] if room.created_by else [])
        return Seen(
            room,
            rooms.owners(connection, room.id),
            len(groups.leaves(connection, room.id)),
            tables.size(connection, room.id) if room.encrypted else 0,
            messages_of(connection, [room])[room.id],
            rooms.made_at(connection, room.id),
            SERVER if room.created_by is None else names[room.created_by],
            last_of(connection, room.id),
        )

    seen = await call.kernel.storage.read(query)
    room, sealed = seen.room, seen.room.encrypted
    return Answer(
        messages.RoomDetails(
            name=called(room),
            room=room.id,
            kind=room.kind,
            access=room.access,
            posting=None if sealed else room.posting,
            crypto=room.crypto,
            topic=None if sealed else room.topic,
            members=room.members,
            here=call.kernel.hub.here(room.id),
            owners=None if sealed else seen.owners,
            devices=seen.devices if sealed else None,
            messages=seen.messages,
            size=seen.size if sealed else None,
            created=seen.made,
            by=None if room.direct else seen.maker,
            last=seen.last,
            archived=room.archived_at or 0,
        )
    )


async def list_members(call: Call, request: messages.ListMembers) -> Answer[messages.MemberList]:
    """List who is in a room, by name."""

    def query(connection: Connection) -> tuple[list[User], dict[UserId, RoomRole]]:
        room = find_plain(connection, request.room)
        found = accounts.page_by_name(
            connection, rooms.members_of(room.id), request.after, limits.OPERATOR_PAGE + 1
        )
        return found, rooms.roles_in(connection, room.id, [one.id for one in found])

    found, roles = await call.kernel.storage.read(query)
    page = found[: limits.OPERATOR_PAGE]
    online = call.kernel.hub.online
    told = [
        messages.MemberInfo(name=one.name, role=roles[one.id].word, online=online(one.id))
        for one in page
    ]
    more = len(found) > len(page)
    return Answer(messages.MemberList(members=told, next=page[-1].name if more else None))


# -- putting away


def archive(call: Call, request: messages.ArchiveRoom) -> Write[Outcome]:
    """Close a room to writing and joining, or open it again; its members are told in its log."""

    def change(connection: Connection) -> Done[Outcome]:
        room = find_anybodys(connection, request.room)
        if room.archived is not request.restore:
            what = "is open" if request.restore else "is archived already"
            return Done(Outcome(done=f"{shown(room)} {what}"))
        rooms.set_archived(connection, room.id, None if request.restore else call.now)
        what = "restored" if request.restore else "archived"
        body = log_rules.state_body(StateChange(what=what, by=author(call)))
        seq = rooms.append_state(connection, room.id, body, call.now)
        event = log_rules.state_event(room.id, seq, call.now, body)
        frame = event_frame(MESSAGE.name, event)
        members = "" if request.restore else f" ({counted(room.members, 'member')} left to read it)"
        undo = f"room archive {called(room)}{'' if request.restore else ' --restore'}"
        outcome = Outcome(done=f"{what} {shown(room)}{members}", undo=undo)
        return Done(outcome, lambda hub: hub.publish(room.id, frame))

    return Write(change)


def delete(call: Call, request: messages.DeleteRoom) -> Write[Outcome]:
    """Delete a room: gone for everybody with the commit, emptied right after it."""
    kernel, by = call.kernel, author(call)

    def change(connection: Connection) -> Done[Outcome]:
        room = find_anybodys(connection, request.room)
        said = messages_of(connection, [room])[room.id]
        inside = rooms.close(connection, room.id)
        if room.encrypted:
            tables.shut(connection, room.id)
        text = f"{by} deleted {'an encrypted room' if room.encrypted else shown(room)}"
        left = RoomLeft(room=room.id, code=room_rules.DELETED, text=text)

        def after(hub: Hub) -> None:
            frame = event_frame(ROOM_LEFT.name, left)
            for user in inside:
                hub.exit(user, room.id)
                hub.tell(user, frame)
            go_on_erasing(kernel, True)

        done = (
            f"deleted {shown(room)}: {counted(len(inside), 'member')}, {counted(said, 'message')}"
        )
        return Done(Outcome(done=done), after)

    return Write(change)


def go_on_erasing(kernel: Kernel, more: bool) -> None:
    """Empty the next events of deleted rooms, until none are left; upkeep does what this cannot."""
    if more and not kernel.closing:
        erasing = kernel.storage.call(erase)
        erasing.addCallback(lambda more: go_on_erasing(kernel, more))
        erasing.addErrback(lambda failure: log.failure("a deleted room was not emptied", failure))


def upkeep(connection: Connection, _now: int, _live: Sequence[SessionId]) -> bool:
    """Empty deleted rooms that a stop of the server has left."""
    return erase(connection)


def erase(connection: Connection) -> bool:
    """Empty the next events of a deleted room, then its group; say whether more may be left."""
    return rooms.erase(connection, ERASE_STEP) or tables.erase_groups(connection, ERASE_STEP)


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="room_admin",
        needs=("accounts", "delivery", "rooms"),
        handlers={
            messages.LIST_ROOMS: list_rooms,
            messages.SHOW_ROOM: show_room,
            messages.LIST_MEMBERS: list_members,
            messages.ARCHIVE_ROOM: archive,
            messages.DELETE_ROOM: delete,
        },
        upkeep=upkeep,
    )
