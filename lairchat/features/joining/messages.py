"""Coming into an encrypted room, on the wire: invited by name, or with a code.

Either way a member's device adds whoever comes, by a commit; what is here is their consent, and what
that device has to know.  The server sees of a code its locator only: the secret is its holders', and
the proofs that travel here are opaque (``lairchat.e2ee.invite``).
"""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Int63, Millis

RoomRef = Int63
NameText = Annotated[str, Meta(max_length=128)]
Locator = Annotated[
    bytes, Meta(min_length=limits.CODE_LOCATOR_BYTES, max_length=limits.CODE_LOCATOR_BYTES)
]
Proof = Annotated[bytes, Meta(min_length=1, max_length=limits.CODE_PROOF_BYTES)]
Package = Annotated[bytes, Meta(min_length=1, max_length=limits.KEY_PACKAGE_BYTES)]
Uses = Annotated[int, Meta(ge=0, le=limits.INVITE_USES_MAX)]


# -- by name


class InviteMember(Request, frozen=True):
    """Invite somebody into an encrypted room, for a member whom its policy lets add people."""

    room: RoomRef
    name: NameText


class ListInvitations(Request, frozen=True):
    """List one's own invitations into encrypted rooms that have no answer yet."""


class Invitation(Reply, frozen=True):
    """An invitation: into which room, the name of who invites, and when, ms since 1970."""

    room: Int63
    by: str
    at: Millis


class Invitations(Reply, frozen=True):
    """One's own invitations, the newest first, as many as fit a frame."""

    invitations: list[Invitation]


class AnswerInvitation(Request, frozen=True):
    """Accept or decline the invitations into a room."""

    room: RoomRef


# -- by a code


class OfferCode(Request, frozen=True):
    """Let people come into a room with a code, or change or end that.

    uses: by how many people it is used altogether, those who wait counted; 0 ends it.
    until: when it ends, ms since 1970; 90 days from now at the latest.  A time that is past ends it.
    """

    room: RoomRef
    locator: Locator
    uses: Uses
    until: Millis


class KnockWithCode(Request, frozen=True):
    """Ask to be let in with a code, or ask again: one request of each person waits under it.

    body: the proof for the room's members.  packages: key packages of devices of one's own account,
    one of each, as MLS encodes them, without a wrapping message.
    """

    locator: Locator
    body: Proof
    packages: Annotated[list[Package], Meta(min_length=1, max_length=limits.KEY_PACKAGES_AT_ONCE)]


class TakeBackKnock(Request, frozen=True):
    """Ask no more to be let in with a code."""

    locator: Locator


# -- what members see


class AskJoiners(Request, frozen=True):
    """Ask who waits to be added to a room.

    after: only those with a higher number; for the next page where the answer says ``more``.
    """

    room: RoomRef
    after: Int63 = 0


class Joiner(Reply, frozen=True):
    """Somebody who has accepted an invitation.

    account: the log that they go by.  by: the name of who has invited them.
    """

    user: Int63
    name: str
    account: bytes
    by: str


class Knock(Reply, frozen=True):
    """Somebody who asks to be let in with a code: since when, with what proof and key packages."""

    locator: bytes
    user: Int63
    name: str
    body: bytes
    packages: list[bytes]
    at: Millis


class Joiners(Reply, frozen=True):
    """Who waits to be added, by number, as many as fit a frame."""

    people: list[Joiner]
    knocks: list[Knock]
    more: bool = False


class RefuseJoiner(Request, frozen=True):
    """Turn somebody away: their knocks at a room go, and the invitations that they have to it."""

    room: RoomRef
    user: Int63


# -- events


class GroupInvited(Reply, frozen=True):
    """Somebody invites this user into an encrypted room; by: their name."""

    room: Int63
    by: str


class GroupJoining(Reply, frozen=True):
    """Who waits to be added to this room has changed: ask with ``group.joiners``."""

    room: Int63


_ADDING = (
    refusals.RoomUnknown,
    refusals.NotMember,
    refusals.RoomPlain,
    refusals.RoomDirect,
    refusals.RoomArchived,
    refusals.DeviceUnproven,
    refusals.GroupMissing,
)
"""What whoever may not add people, or not now, is told; and Denied."""

INVITE = Command(
    name="group.invite",
    request=InviteMember,
    reply=Nothing,
    doc="Invites somebody into an encrypted room; repeating it changes nothing.",
    errors=(
        *_ADDING,
        refusals.UserUnknown,
        refusals.AlreadyMember,
        refusals.IdentityUnknown,
        refusals.InvitedEnough,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=2,
)
INVITATIONS = Command(
    name="group.invitations",
    request=ListInvitations,
    reply=Invitations,
    doc="Lists the encrypted rooms that one is invited to.",
)
ACCEPT = Command(
    name="group.accept",
    request=AnswerInvitation,
    reply=Nothing,
    doc="Accepts the invitations into an encrypted room: a member's device adds one's own.",
    errors=(
        refusals.RoomUnknown,
        refusals.AlreadyMember,
        refusals.DeviceUnproven,
        refusals.RoomsMax,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    on="room",
    cost=2,
)
DECLINE = Command(
    name="group.decline",
    request=AnswerInvitation,
    reply=Nothing,
    doc="Declines the invitations into an encrypted room, also after accepting them.",
    overlap=Overlap.WRITE,
    on="room",
)
JOINERS = Command(
    name="group.joiners",
    request=AskJoiners,
    reply=Joiners,
    doc="Lists who waits to be added to an encrypted room, for members who may do it.",
    errors=_ADDING,
    on="room",
    cost=2,
)
OFFER = Command(
    name="group.offer",
    request=OfferCode,
    reply=Nothing,
    doc="Lets people knock at an encrypted room with a code, or ends that.",
    errors=(*_ADDING, refusals.CodeTaken, refusals.CodesMax),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    cost=2,
)
KNOCK = Command(
    name="group.knock",
    request=KnockWithCode,
    reply=Nothing,
    doc="Asks to be let into the encrypted room that a code is for.",
    errors=(
        refusals.CodeUnknown,
        refusals.AlreadyMember,
        refusals.DeviceUnproven,
        refusals.KeyPackageBad,
        refusals.KnocksMax,
        refusals.RoomsMax,
    ),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=5,
)
UNKNOCK = Command(
    name="group.unknock",
    request=TakeBackKnock,
    reply=Nothing,
    doc="Asks no more to be let in with a code; the use is free again.",
    overlap=Overlap.WRITE,
)
REFUSE = Command(
    name="group.refuse",
    request=RefuseJoiner,
    reply=Nothing,
    doc="Turns away somebody who waits to be added to an encrypted room, or is invited to it.",
    errors=_ADDING,
    overlap=Overlap.WRITE,
    on="room",
)
INVITED = EventType(
    name="group.invited",
    body=GroupInvited,
    doc="Somebody invites this user into an encrypted room.",
)
JOINING = EventType(
    name="group.joining",
    body=GroupJoining,
    doc="Who waits to be added to an encrypted room has changed.",
)

COMMANDS = (INVITE, INVITATIONS, ACCEPT, DECLINE, JOINERS, OFFER, KNOCK, UNKNOCK, REFUSE)
EVENTS = (INVITED, JOINING)
