"""Bans from the whole server, on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Span, Time, flag

Kind = Literal["ip", "net", "user"]
Target = Annotated[str, Meta(max_length=128)]
ReasonText = Annotated[str, Meta(max_length=limits.REASON_CHARS * 4)]


class AddBan(Change, frozen=True):
    """Keep somebody out of the server, and close what they have open.

    kind: what is named: an address, a network, or an account.
    target: the address, network such as 203.0.113.0/24, or name. An IPv6 address stands for
        its /64, which is one subscriber's.
    period: how long it lasts; otherwise until it is removed.
    reason: why; an account that is banned is told.
    """

    kind: Kind
    target: Target
    period: Annotated[Span, flag("for")] = 0
    reason: ReasonText = ""


class ListBans(Request, frozen=True):
    """List who is kept out of the server."""

    after: Int63 = 0


class BanInfo(Reply, frozen=True):
    """One ban; ``until`` is 0 where it lasts until it is removed."""

    kind: Kind
    target: str
    until: Time
    reason: str
    by: str
    at: Time


class BanList(Reply, frozen=True):
    """A page of bans, oldest first."""

    bans: list[BanInfo]
    next: Int63 | None = None


class RemoveBan(Change, frozen=True):
    """Let somebody back in.

    kind: what is named: an address, a network, or an account.
    target: as it was banned.
    """

    kind: Kind
    target: Target


ADD_BAN = Command(
    name="admin.ban_add",
    request=AddBan,
    reply=Outcome,
    doc="Keeps an address, a network or an account out of the server.",
    errors=(
        refusals.NetworkBad,
        refusals.BanOwn,
        refusals.BanRank,
        refusals.UserUnknown,
        refusals.OnOwnAccount,
        refusals.Denied,
    ),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="ban add {kind} {target}",
    asks=True,
)
LIST_BANS = Command(
    name="admin.ban_list",
    request=ListBans,
    reply=BanList,
    doc="Lists who is kept out of the server.",
    role=ServerRole.ADMIN,
    cli="ban list",
)
REMOVE_BAN = Command(
    name="admin.ban_remove",
    request=RemoveBan,
    reply=Outcome,
    doc="Lets an address, a network or an account back in.",
    errors=(
        refusals.NetworkBad,
        refusals.BanUnknown,
        refusals.UserUnknown,
        refusals.OnOwnAccount,
        refusals.Denied,
    ),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="ban remove {kind} {target}",
)

COMMANDS = (ADD_BAN, LIST_BANS, REMOVE_BAN)
