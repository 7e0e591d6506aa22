"""Rooms as operators see them, on the wire: what there is, never what is written there."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Size, Time

RoomText = Annotated[str, Meta(max_length=128)]
NameText = Annotated[str, Meta(max_length=128)]
State = Literal["ok", "archived"]
Kind = Literal["room", "direct"]


class ListRooms(Request, frozen=True):
    """List all rooms by name, private ones too, then encrypted ones by number.

    direct: list encrypted direct conversations as well.
    """

    after: RoomText = ""
    direct: bool = False


class RoomInfo(Reply, frozen=True):
    """One room; ``last`` is when something was said or done in it last.

    name: ``encrypted:17`` for an encrypted room, whose name the server does not know.
    """

    name: str
    kind: Kind
    access: str
    crypto: str
    members: Int63
    messages: Int63
    last: Time
    state: State


class RoomList(Reply, frozen=True):
    """A page of rooms, by name."""

    rooms: list[RoomInfo]
    next: str | None = None


class ShowRoom(Request, frozen=True):
    """Show a room.

    room: its name; of an encrypted one, encrypted:NUMBER.
    """

    room: RoomText


class RoomDetails(Reply, frozen=True):
    """One room, more closely; ``here`` counts the members who are connected.

    topic, posting, owners: null for an encrypted room, where only its members know; by: null for a
    direct conversation.  devices: those in the group of an encrypted room.  size: bytes that an
    encrypted room takes here.
    """

    name: str
    room: Int63
    kind: Kind
    access: str
    posting: str | None
    crypto: str
    topic: str | None
    members: Int63
    here: Int63
    owners: Int63 | None
    devices: Int63 | None
    messages: Int63
    size: Size | None
    created: Time
    by: str | None
    last: Time
    archived: Time


class ListMembers(Request, frozen=True):
    """List a room's members by name.

    room: its name.
    """

    room: RoomText
    after: NameText = ""


class MemberInfo(Reply, frozen=True):
    """One member, and whether a device of theirs is connected."""

    name: str
    role: str
    online: bool


class MemberList(Reply, frozen=True):
    """A page of members, by name."""

    members: list[MemberInfo]
    next: str | None = None


class ArchiveRoom(Change, frozen=True):
    """Put a room away: its members go on reading it, nobody writes in it or joins.

    room: its name; of an encrypted one, encrypted:NUMBER.
    restore: open it again.
    """

    room: RoomText
    restore: bool = False


class DeleteRoom(Change, frozen=True):
    """Delete a room and everything that was said in it.

    room: its name; of an encrypted one, encrypted:NUMBER.
    """

    room: RoomText


LIST_ROOMS = Command(
    name="admin.room_list",
    request=ListRooms,
    reply=RoomList,
    doc="Lists all rooms, private ones too.",
    role=ServerRole.ADMIN,
    cli="room list",
)
SHOW_ROOM = Command(
    name="admin.room_show",
    request=ShowRoom,
    reply=RoomDetails,
    doc="Shows a room.",
    errors=(refusals.RoomNameUnknown,),
    role=ServerRole.ADMIN,
    cli="room show {room}",
)
LIST_MEMBERS = Command(
    name="admin.room_members",
    request=ListMembers,
    reply=MemberList,
    doc="Lists who is in a room that the server can read.",
    errors=(refusals.RoomNameUnknown, refusals.RoomEncrypted),
    role=ServerRole.ADMIN,
    cli="room members {room}",
)
ARCHIVE_ROOM = Command(
    name="admin.room_archive",
    request=ArchiveRoom,
    reply=Outcome,
    doc="Puts a room away: it can be read, not written in.",
    errors=(refusals.RoomNameUnknown, refusals.RoomKept),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="room archive {room}",
    asks=True,
    undoes=("restore", True),
)
DELETE_ROOM = Command(
    name="admin.room_delete",
    request=DeleteRoom,
    reply=Outcome,
    doc="Deletes a room and everything that was said in it.",
    errors=(refusals.RoomNameUnknown, refusals.RoomKept),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="room delete {room}",
    asks=True,
)

COMMANDS = (LIST_ROOMS, SHOW_ROOM, LIST_MEMBERS, ARCHIVE_ROOM, DELETE_ROOM)
