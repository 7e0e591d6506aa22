"""Rooms and direct conversations on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Int63

RoomText = Annotated[str, Meta(max_length=128)]
NameText = Annotated[str, Meta(max_length=128)]
TopicText = Annotated[str, Meta(max_length=limits.TOPIC_CHARS * 4)]
Access = Literal["public", "private"]
Posting = Literal["everyone", "members", "moderators"]
Crypto = Literal["plain", "mls"]
Kind = Literal["room", "direct"]
RoleName = Literal["guest", "member", "moderator", "admin", "owner"]
RoomRef = Int63


class RoomInfo(Reply, frozen=True):
    """What one may know of a room.

    room: its number.  name: without the leading ``#``; of a direct conversation the other's name.
    kind: room or direct.  crypto: what protects messages (``plain``: the server can read them;
    ``mls``: it cannot, nor does it know the name, the topic or who has which role).
    role: the caller's role in it, or null.  members: how many.  head: sequence of its last event.
    archived: an operator has put it away: it is read and left, not joined nor written in.
    follows, followed_by: the direct conversation in whose place this one has come, because it was
    held for good, and the one that has come in the place of this one, in which nothing more is said.
    """

    room: Int63
    name: str
    kind: Kind
    access: Access
    posting: Posting
    crypto: Crypto
    topic: str
    members: Int63
    head: Int63
    role: RoleName | None = None
    peer: Int63 | None = None
    archived: bool = False
    follows: Int63 | None = None
    followed_by: Int63 | None = None


class CreateRoom(Request, frozen=True):
    """Make a room; the caller becomes its owner.

    A public one is ``plain``, a private one ``mls``, and nothing else is made: a client that does
    not say which gets no private room that the server could read.  Of an encrypted one name and
    topic are empty: both are the members' own, in messages.  Its group is to be founded next
    (``group.found``).
    """

    name: RoomText
    access: Access = "public"
    posting: Posting = "members"
    crypto: Crypto = "plain"
    topic: TopicText = ""


class ListRooms(Request, frozen=True):
    """List public rooms and one's own, by name, after the name ``after``."""

    after: RoomText = ""
    limit: Annotated[int, Meta(ge=1, le=limits.ROOMS_PAGE)] = limits.ROOMS_PAGE


class RoomList(Reply, frozen=True):
    """A page of rooms; ``more`` says whether another follows."""

    rooms: list[RoomInfo]
    more: bool


class JoinRoom(Request, frozen=True):
    """Join a public room by name."""

    name: RoomText


class LeaveRoom(Request, frozen=True):
    """Leave a room."""

    room: RoomRef


class SetTopic(Request, frozen=True):
    """Set a room's topic."""

    room: RoomRef
    topic: TopicText


class ListMembers(Request, frozen=True):
    """List a room's members by name, after the name ``after``."""

    room: RoomRef
    after: NameText = ""
    limit: Annotated[int, Meta(ge=1, le=limits.MEMBERS_PAGE)] = limits.MEMBERS_PAGE


class Member(Reply, frozen=True):
    """One member, and whether a device of theirs is connected."""

    user: Int63
    name: str
    role: RoleName
    online: bool


class MemberList(Reply, frozen=True):
    """A page of members; ``more`` says whether another follows; ``here`` counts those online."""

    members: list[Member]
    more: bool
    total: Int63
    here: Int63


class InviteUser(Request, frozen=True):
    """Invite somebody into a room; they join by its name."""

    room: RoomRef
    name: NameText


class SetRole(Request, frozen=True):
    """Give a member another role."""

    room: RoomRef
    name: NameText
    role: RoleName


class OpenDirect(Request, frozen=True):
    """Open the direct conversation with somebody, making it on first use if it is encrypted.

    Two people can have a second one, ``plain``, from before encryption: it is opened to be read.
    """

    name: NameText
    crypto: Crypto = "plain"


class RefoundDirect(Request, frozen=True):
    """Have another encrypted direct conversation come in the place of one that is held for good.

    Of two who ask for it at once both get the same one, and so does who asks again: the answer is the
    conversation that the two have by then.
    """

    room: RoomRef


class MyRooms(Request, frozen=True):
    """List all rooms one is a member of, by number, after the room ``after``."""

    after: Int63 = 0


class RoomJoined(Reply, frozen=True):
    """A room that this user's devices now belong to (joined on another device, or direct)."""

    room: RoomInfo


class RoomLeft(Reply, frozen=True):
    """A room that this user no longer belongs to, and why."""

    room: Int63
    code: str
    text: str


class RoomInvited(Reply, frozen=True):
    """Somebody invites this user into a room."""

    room: Int63
    name: str
    by: str


ROOM_ERRORS = (
    refusals.RoomUnknown,
    refusals.NotMember,
    refusals.Denied,
    refusals.RoomDirect,
    refusals.RoomEncrypted,
)

CREATE = Command(
    name="room.create",
    request=CreateRoom,
    reply=RoomInfo,
    doc="Makes a room; the caller becomes its owner.",
    errors=(
        refusals.RoomNameBad,
        refusals.RoomTaken,
        refusals.RoomsMax,
        refusals.TopicBad,
        refusals.RoomCrypto,
        refusals.RoomEncrypted,
        refusals.RoomUnencrypted,
        refusals.IdentityUnknown,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    keyed=True,
    cost=3,
    http="POST /rooms",
)
LIST = Command(
    name="room.list",
    request=ListRooms,
    reply=RoomList,
    doc="Lists public rooms and one's own.",
    http="GET /rooms",
)
MINE = Command(
    name="room.mine",
    request=MyRooms,
    reply=RoomList,
    doc="Lists all rooms and direct conversations that one is a member of.",
)
JOIN = Command(
    name="room.join",
    request=JoinRoom,
    reply=RoomInfo,
    doc="Joins a room by name; joining again is harmless.",
    errors=(
        refusals.RoomUnknown,
        refusals.RoomNameBad,
        refusals.Banned,
        refusals.RoomArchived,
        refusals.RoomLegacy,
        refusals.RoomsMax,
        refusals.RoomFull,
    ),
    overlap=Overlap.WRITE,
    http="POST /rooms/{name}/members",
)
LEAVE = Command(
    name="room.leave",
    request=LeaveRoom,
    reply=Nothing,
    doc="Leaves a room.",
    errors=(*ROOM_ERRORS, refusals.LastOwner),
    overlap=Overlap.WRITE,
    on="room",
    http="DELETE /rooms/{room}/members/me",
)
TOPIC = Command(
    name="room.topic",
    request=SetTopic,
    reply=Nothing,
    doc="Sets a room's topic.",
    errors=(*ROOM_ERRORS, refusals.RoomArchived, refusals.RoomLegacy, refusals.TopicBad),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    http="PUT /rooms/{room}/topic",
)
MEMBERS = Command(
    name="room.members",
    request=ListMembers,
    reply=MemberList,
    doc="Lists a room's members.",
    errors=ROOM_ERRORS,
    on="room",
    http="GET /rooms/{room}/members",
)
INVITE = Command(
    name="room.invite",
    request=InviteUser,
    reply=Nothing,
    doc="Invites somebody into a room; inviting again is harmless, and told to nobody.",
    errors=(
        *ROOM_ERRORS,
        refusals.RoomArchived,
        refusals.RoomLegacy,
        refusals.UserUnknown,
        refusals.Banned,
        refusals.AlreadyMember,
        refusals.InvitedEnough,
    ),
    overlap=Overlap.WRITE,
    on="room",
    cost=5,
    http="POST /rooms/{room}/invitations",
)
ROLE = Command(
    name="room.role",
    request=SetRole,
    reply=Nothing,
    doc="Gives a member another role.",
    errors=(
        *ROOM_ERRORS,
        refusals.RoomLegacy,
        refusals.UserUnknown,
        refusals.LastOwner,
        refusals.OnSelf,
    ),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    http="PUT /rooms/{room}/members/{name}/role",
)
DIRECT = Command(
    name="direct.open",
    request=OpenDirect,
    reply=RoomInfo,
    doc="Opens the direct conversation with somebody.",
    errors=(
        refusals.UserUnknown,
        refusals.OnSelf,
        refusals.RoomsMax,
        refusals.RoomCrypto,
        refusals.RoomUnencrypted,
        refusals.IdentityUnknown,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=2,
    http="POST /directs",
)
REFOUND = Command(
    name="direct.refound",
    request=RefoundDirect,
    reply=RoomInfo,
    doc="Opens another direct conversation in the place of one that is held for good.",
    errors=(
        refusals.RoomUnknown,
        refusals.NotMember,
        refusals.RoomPlain,
        refusals.RoomEncrypted,
        refusals.RoomArchived,
        refusals.RoomsMax,
        refusals.IdentityUnknown,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    on="room",
    cost=5,
)
ROOM_JOINED = EventType(
    name="room.joined", body=RoomJoined, doc="This user's devices now belong to a room."
)
ROOM_LEFT = EventType(name="room.left", body=RoomLeft, doc="This user no longer belongs to a room.")
ROOM_INVITED = EventType(
    name="room.invited", body=RoomInvited, doc="Somebody invites this user into a room."
)

COMMANDS = (CREATE, LIST, MINE, JOIN, LEAVE, TOPIC, MEMBERS, INVITE, ROLE, DIRECT, REFOUND)
EVENTS = (ROOM_JOINED, ROOM_LEFT, ROOM_INVITED)
