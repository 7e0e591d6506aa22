"""Keeping order in a room, on the wire: kick, ban, unban."""

from typing import Annotated

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.wire.contract import Command, Nothing, Overlap, Reply, Request
from lairchat.wire.objects import Int63

NameText = Annotated[str, Meta(max_length=128)]
ReasonText = Annotated[str, Meta(max_length=limits.REASON_CHARS * 4)]


class Kick(Request, frozen=True):
    """Remove a member; they may join again."""

    room: Int63
    name: NameText
    reason: ReasonText = ""


class Ban(Request, frozen=True):
    """Remove somebody, member or not, and keep them out."""

    room: Int63
    name: NameText
    reason: ReasonText = ""


class Unban(Request, frozen=True):
    """Let somebody back in."""

    room: Int63
    name: NameText


class ListBans(Request, frozen=True):
    """List who is kept out of a room, by name, after the name ``after``."""

    room: Int63
    after: NameText = ""


class BanInfo(Reply, frozen=True):
    """One ban."""

    name: str
    by: str
    at: Int63
    reason: str


class BanList(Reply, frozen=True):
    """A page of who is kept out of a room, by name; ``more`` says whether another follows."""

    bans: list[BanInfo]
    more: bool = False


ERRORS = (
    refusals.RoomUnknown,
    refusals.NotMember,
    refusals.Denied,
    refusals.RoomDirect,
    refusals.UserUnknown,
    refusals.OnSelf,
)

KICK = Command(
    name="room.kick",
    request=Kick,
    reply=Nothing,
    doc="Removes a member from a room.",
    errors=ERRORS,
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    http="DELETE /rooms/{room}/members/{name}",
)
BAN = Command(
    name="room.ban",
    request=Ban,
    reply=Nothing,
    doc="Removes somebody from a room and keeps them out.",
    errors=(*ERRORS, refusals.BansMax),
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    http="POST /rooms/{room}/bans",
)
UNBAN = Command(
    name="room.unban",
    request=Unban,
    reply=Nothing,
    doc="Lets somebody back into a room.",
    errors=ERRORS,
    overlap=Overlap.WRITE,
    keyed=True,
    on="room",
    http="DELETE /rooms/{room}/bans/{name}",
)
BANS = Command(
    name="room.bans",
    request=ListBans,
    reply=BanList,
    doc="Lists who is kept out of a room.",
    errors=ERRORS,
    on="room",
    http="GET /rooms/{room}/bans",
)

COMMANDS = (KICK, BAN, UNBAN, BANS)
