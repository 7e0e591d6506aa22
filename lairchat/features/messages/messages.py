"""Messages on the wire: sending, history, catching up, how far one has read."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.wire.contract import Command, EventType, Overlap, Reply, Request
from lairchat.wire.objects import Int63

RoomRef = Int63
#: Clear classes that a client may send this way; commits and proposals have commands of their own.
SendClass = Literal["app"]
Body = Annotated[bytes, Meta(min_length=1, max_length=limits.SEALED_BYTES)]


class Text(
    msgspec.Struct,
    tag="text",
    tag_field="type",
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """The body of an application message in a plain room: msgpack of this map.

    text: 1 to 4,096 characters.  me: an action (``/me waves``).
    """

    text: str
    me: bool = False


class StateChange(msgspec.Struct, tag="state", tag_field="type", frozen=True, omit_defaults=True):
    """The body of a server statement (class ``state``): who did what to whom in this room.

    what: created, joined, left, topic, kicked, banned, unbanned, invited, role, archived, restored.
    by: name of who did it.  whom: name of whom it concerns, where that is somebody else.
    text: the new topic, the reason, or the new role.
    """

    what: str
    by: str
    whom: str | None = None
    text: str | None = None


class Send(Request, frozen=True):
    """Append a message to a room.

    body: msgpack of Text; in encrypted rooms an MLSMessage with a PrivateMessage of application
    data, of the epoch that the room is in.
    """

    room: RoomRef
    body: Body
    kind: SendClass = "app"


class Sent(Reply, frozen=True):
    """Where the message stands: its sequence in the room, and the server's time in ms.

    The reply is sent after the message is on disk.
    """

    seq: Int63
    at: Int63


class LogEvent(Reply, frozen=True):
    """One event of a room's log.

    seq: dense, from 1, per room.  at: server's time, ms.  user, name, device: who sent it (0 and
    "" for the server).  kind: app or state, or tombstone when the body has been purged; in
    encrypted rooms also commit, proposal and hint.
    id: the command id it was sent with, 16 bytes.  body: msgpack of Text or StateChange; in
    encrypted rooms an MLSMessage, or of a large commit msgpack of Large; of a hint the sequence of
    the message that was deleted, 8 bytes, big-endian.
    was, digest: of a tombstone, what its kind was, and SHA-256 of the body.
    """

    room: Int63
    seq: Int63
    at: Int63
    user: Int63
    name: str
    device: Int63
    kind: str
    id: bytes
    body: bytes
    was: str = ""
    digest: bytes = b""


class History(Request, frozen=True):
    """Read a room's log: ``limit`` events before ``before``, or after ``after``, ascending."""

    room: RoomRef
    before: Int63 | None = None
    after: Int63 | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.HISTORY_PAGE)] = 50


class Page(Reply, frozen=True):
    """Events in ascending order, as many as fit a frame.

    more: whether the log goes on in the asked direction.
    """

    room: Int63
    events: list[LogEvent]
    more: bool


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a device has followed a room."""

    room: RoomRef
    seq: Int63


class Sync(Request, frozen=True):
    """Catch up in many rooms at once: what is after each cursor, and all other rooms' heads.

    after: go on after this room; for the next page where the answer says ``more``.
    """

    cursors: Annotated[list[Cursor], Meta(max_length=limits.ROOMS_JOINED)] = []
    limit: Annotated[int, Meta(ge=0, le=limits.HISTORY_PAGE)] = 50
    after: Int63 = 0


class RoomSync(Reply, frozen=True):
    """Where a room stands for this user.

    head: its last sequence.  read: how far this user has read on any device.  unread: app
    messages after that.  events: those after the given cursor, ascending, as far as they fit;
    more: whether there are more than these (read on with ``message.history``).
    """

    room: Int63
    head: Int63
    read: Int63
    unread: Int63
    events: list[LogEvent] = []
    more: bool = False


class Synced(Reply, frozen=True):
    """The rooms that the user is in, by number, as many as fit a frame."""

    rooms: list[RoomSync]
    more: bool = False


class MoveCursor(Request, frozen=True):
    """Say that this user has read a room up to ``seq`` on this device; it never moves back."""

    room: RoomRef
    seq: Int63


class CursorMoved(Reply, frozen=True):
    """How far this user has read a room, on any device."""

    room: Int63
    read: Int63
    unread: Int63


class Gap(Reply, frozen=True):
    """This connection was too slow for these rooms: read on from one's cursors."""

    rooms: list[Int63]


SEND = Command(
    name="message.send",
    request=Send,
    reply=Sent,
    doc="Appends a message to a room; answered once it is on disk.",
    errors=(
        refusals.RoomUnknown,
        refusals.NotMember,
        refusals.RoomReadOnly,
        refusals.RoomArchived,
        refusals.RoomFollowed,
        refusals.RoomLegacy,
        refusals.TextLong,
        refusals.TextEmpty,
        refusals.TextBad,
        refusals.RoomEncrypted,
        refusals.RoomPlain,
        refusals.DeviceUnproven,
        refusals.GroupMissing,
        refusals.GroupRefused,
        refusals.EpochStale,
    ),
    overlap=Overlap.WRITE,
    keyed=True,
    rate="message",
    on="room",
    http="POST /rooms/{room}/messages",
)
HISTORY = Command(
    name="message.history",
    request=History,
    reply=Page,
    doc="Reads a room's log in either direction.",
    errors=(refusals.RoomUnknown, refusals.NotMember),
    on="room",
    http="GET /rooms/{room}/messages",
)
SYNC = Command(
    name="message.sync",
    request=Sync,
    reply=Synced,
    doc="Catches up in all of one's rooms in one round trip.",
    cost=5,
)
MOVE_CURSOR = Command(
    name="cursor.move",
    request=MoveCursor,
    reply=CursorMoved,
    doc="Says how far one has read.",
    errors=(refusals.RoomUnknown, refusals.NotMember, refusals.CursorBad),
    overlap=Overlap.WRITE,
    on="room",
)
MESSAGE = EventType(name="message", body=LogEvent, doc="An event was appended to a room's log.")
CURSOR = EventType(name="cursor", body=CursorMoved, doc="Another device of this user has read on.")
GAP = EventType(name="gap", body=Gap, doc="Events of these rooms were not sent to this connection.")

COMMANDS = (SEND, HISTORY, SYNC, MOVE_CURSOR)
EVENTS = (MESSAGE, CURSOR, GAP)
