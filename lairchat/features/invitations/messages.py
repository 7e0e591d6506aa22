"""Links that operators make, on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Kind, Time, flag

NameText = Annotated[str, Meta(max_length=128)]
LinkState = Literal["ok", "suspended"]
#: Owners are made by owners, from accounts that there are: ``user role``.
GivenRole = Literal["guest", "user", "moderator", "admin"]
#: A Span between bounds of its own.
Life = Annotated[
    int, Meta(ge=1, le=limits.INVITE_SECONDS_MAX, extra={"kind": Kind.SPAN}), flag("for")
]


class CreateUser(Change, frozen=True):
    """Make a link by which one person gets an account of this name.

    name: the name; nobody else gets it while the link works.
    role: what they become.
    period: how long the link works.
    """

    name: NameText
    role: GivenRole = "user"
    period: Life = limits.INVITE_SECONDS


class ResetPassword(Change, frozen=True):
    """Make a link by which the owner of an account sets its password anew.

    name: whose account it is; its sessions end when the link is used.
    period: how long the link works.
    """

    name: NameText
    period: Life = limits.DAY


class CreateInvite(Change, frozen=True):
    """Make a link for newcomers.

    uses: how many people may use it.
    period: how long it works.
    """

    uses: Annotated[int, Meta(ge=1, le=limits.INVITE_USES_MAX)] = 1
    period: Life = limits.INVITE_SECONDS


class LinkMade(Outcome, frozen=True):
    """A link, which is shown this once: the server keeps a hash of it."""

    link: str = ""


class ListInvites(Request, frozen=True):
    """List the links that still work."""

    after: Int63 = 0


class InviteInfo(Reply, frozen=True):
    """One link; ``name`` is for whom it is kept, ``does`` what it is good for.

    state: suspended while whoever has made it may not make it any more; it lets nobody in then.
    """

    invite: Int63
    does: str
    name: str
    role: str
    uses: Int63
    until: Time
    by: str
    state: LinkState


class InviteList(Reply, frozen=True):
    """A page of links that still work, oldest first."""

    invites: list[InviteInfo]
    next: Int63 | None = None


class RevokeInvite(Change, frozen=True):
    """Withdraw a link.

    invite: its number.
    """

    invite: Int63


CREATE_USER = Command(
    name="admin.user_create",
    request=CreateUser,
    reply=LinkMade,
    doc="Keeps a name for somebody, and makes the link that gives them its account.",
    errors=(
        refusals.NameBad,
        refusals.NameReserved,
        refusals.NameTaken,
        refusals.Denied,
    ),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user create {name}",
)
RESET_PASSWORD = Command(
    name="admin.user_reset-password",
    request=ResetPassword,
    reply=LinkMade,
    doc="Makes the link by which the owner of an account sets its password anew.",
    errors=(refusals.UserUnknown, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user reset-password {name}",
    asks=True,
)
CREATE_INVITE = Command(
    name="admin.invite_create",
    request=CreateInvite,
    reply=LinkMade,
    doc="Makes a link for newcomers.",
    role=ServerRole.MODERATOR,
    overlap=Overlap.WRITE,
    cli="invite create",
)
LIST_INVITES = Command(
    name="admin.invite_list",
    request=ListInvites,
    reply=InviteList,
    doc="Lists the links that still work.",
    role=ServerRole.MODERATOR,
    cli="invite list",
)
REVOKE_INVITE = Command(
    name="admin.invite_revoke",
    request=RevokeInvite,
    reply=Outcome,
    doc="Withdraws a link.",
    errors=(refusals.InviteUnknown, refusals.Denied),
    role=ServerRole.MODERATOR,
    overlap=Overlap.WRITE,
    cli="invite revoke {invite}",
    asks=True,
)

COMMANDS = (CREATE_USER, RESET_PASSWORD, CREATE_INVITE, LIST_INVITES, REVOKE_INVITE)
