"""Accounts on the wire: registering, logging in, sessions, invites."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Command, EventType, Nothing, Overlap, Reply, Request, Stage
from lairchat.wire.objects import Bytes32, Int63, Millis

# Structural bounds only: what a good name is, and the advice that goes with a bad one, is model's.
NameText = Annotated[str, Meta(max_length=128)]
LabelText = Annotated[str, Meta(max_length=128)]
CodeText = Annotated[str, Meta(max_length=64)]
Token = Annotated[bytes, Meta(min_length=48, max_length=48)]
RoleName = Literal["guest", "user", "moderator", "admin", "owner"]


class Register(Request, frozen=True):
    """Make an account, or take one over again by a link that an operator made for it.

    secret: the authentication secret derived from the password, 32 bytes.
    invite: the code of an invite link; needed where registration is by invite.
    device: how the user calls this device.
    """

    name: NameText
    secret: Bytes32
    device: LabelText = ""
    invite: CodeText | None = None


class Login(Request, frozen=True):
    """Log in by name and authentication secret; ``device`` continues a device of this account."""

    name: NameText
    secret: Bytes32
    label: LabelText = ""
    device: Int63 | None = None


class Resume(Request, frozen=True):
    """Log in again with a session token."""

    token: Token


class Grant(Reply, frozen=True):
    """A session.

    token: logs in next time, without a password hash: 16 bytes that find the session, then 32
        random bytes that prove it.  Every ``session.resume`` answers with a new one; the one
        before it stays good until the new one has been used (the answer may have been lost),
        and any older one means that somebody has a copy, and ends the session.
    """

    user: Int63
    name: str
    role: RoleName
    device: Int63
    session: Int63
    token: Token


class ChangeSecret(Request, frozen=True):
    """Change the authentication secret; every other session of the account ends."""

    old: Bytes32
    new: Bytes32


class ListSessions(Request, frozen=True):
    """List one's own sessions."""


class SessionInfo(Reply, frozen=True):
    """One session: its device and when it was used last."""

    session: Int63
    device: Int63
    label: str
    created: Int63
    used: Int63
    current: bool = False


class SessionList(Reply, frozen=True):
    """One's own sessions, newest first."""

    sessions: list[SessionInfo]


class Logout(Request, frozen=True):
    """End this session."""


class LogoutAll(Request, frozen=True):
    """End all of one's sessions, this one too."""


class CreateInvite(Request, frozen=True):
    """Make an invite code that lets ``uses`` people register within ``days`` days."""

    uses: Annotated[int, Meta(ge=1, le=limits.INVITE_USES_MAX)] = 1
    days: Annotated[int, Meta(ge=1, le=limits.INVITE_SECONDS_MAX // limits.DAY)] = 7


class Invite(Reply, frozen=True):
    """A new invite; ``code`` is shown this once and stored as a hash."""

    invite: Int63
    code: str
    expires: Millis


class ListInvites(Request, frozen=True):
    """List the invites that can still be used, oldest first, after the invite ``after``."""

    after: Int63 = 0


class InviteInfo(Reply, frozen=True):
    """An invite without its code."""

    invite: Int63
    by: str
    uses: Int63
    expires: Int63


class InviteList(Reply, frozen=True):
    """Invites that can still be used: one's own; all of them for moderators and above."""

    invites: list[InviteInfo]
    more: bool = False


class RevokeInvite(Request, frozen=True):
    """Withdraw an invite."""

    invite: Int63


class SessionEnded(Reply, frozen=True):
    """This session is over; the connection closes after this event."""

    code: str
    text: str


REGISTER = Command(
    name="account.register",
    request=Register,
    reply=Grant,
    doc="Makes an account and logs this device in.",
    errors=(
        refusals.NameBad,
        refusals.NameTaken,
        refusals.NameReserved,
        refusals.LabelBad,
        refusals.RegistrationClosed,
        refusals.InviteBad,
        refusals.InviteName,
        refusals.AuthBusy,
        refusals.AuthDelay,
        refusals.AuthLocked,
        refusals.AuthBanned,
    ),
    stage=Stage.GREETED,
    overlap=Overlap.EXCLUSIVE,
    cost=10,
    http="POST /accounts",
)
LOGIN = Command(
    name="account.login",
    request=Login,
    reply=Grant,
    doc="Logs a device in with the secret derived from the password.",
    errors=(
        refusals.AuthFailed,
        refusals.AuthDelay,
        refusals.AuthBusy,
        refusals.AuthLocked,
        refusals.AuthBanned,
        refusals.DeviceUnknown,
        refusals.LabelBad,
    ),
    stage=Stage.GREETED,
    overlap=Overlap.EXCLUSIVE,
    cost=10,
    http="POST /sessions",
)
RESUME = Command(
    name="session.resume",
    request=Resume,
    reply=Grant,
    doc="Logs a device in again with its session token; costs no password hash.",
    errors=(
        refusals.AuthToken,
        refusals.AuthReused,
        refusals.AuthLocked,
        refusals.AuthBanned,
    ),
    stage=Stage.GREETED,
    overlap=Overlap.EXCLUSIVE,
    cost=5,
)
CHANGE_SECRET = Command(
    name="account.password",
    request=ChangeSecret,
    reply=Nothing,
    doc="Changes the authentication secret, and ends every other session and any link that would set it anew.",
    errors=(refusals.AuthFailed, refusals.AuthDelay, refusals.AuthBusy),
    overlap=Overlap.EXCLUSIVE,
    cost=5,
    http="PUT /account/secret",
)
LIST_SESSIONS = Command(
    name="session.list",
    request=ListSessions,
    reply=SessionList,
    doc="Lists one's own sessions.",
    http="GET /sessions",
)
LOGOUT = Command(
    name="session.logout",
    request=Logout,
    reply=Nothing,
    doc="Ends this session; its connections close.",
    overlap=Overlap.EXCLUSIVE,
    http="DELETE /sessions/current",
)
LOGOUT_ALL = Command(
    name="session.logout_all",
    request=LogoutAll,
    reply=Nothing,
    doc="Ends all of one's sessions.",
    overlap=Overlap.EXCLUSIVE,
    http="DELETE /sessions",
)
CREATE_INVITE = Command(
    name="invite.create",
    request=CreateInvite,
    reply=Invite,
    doc="Makes an invite code for new accounts.",
    errors=(refusals.Denied,),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    cost=2,
    http="POST /invites",
)
LIST_INVITES = Command(
    name="invite.list",
    request=ListInvites,
    reply=InviteList,
    doc="Lists the invites that can still be used.",
    role=ServerRole.USER,
    http="GET /invites",
)
REVOKE_INVITE = Command(
    name="invite.revoke",
    request=RevokeInvite,
    reply=Nothing,
    doc="Withdraws an invite.",
    errors=(refusals.InviteBad, refusals.Denied),
    role=ServerRole.USER,
    overlap=Overlap.WRITE,
    http="DELETE /invites/{invite}",
)
SESSION_ENDED = EventType(
    name="session.ended", body=SessionEnded, doc="This session is over; log in again."
)

COMMANDS = (
    REGISTER,
    LOGIN,
    RESUME,
    CHANGE_SECRET,
    LIST_SESSIONS,
    LOGOUT,
    LOGOUT_ALL,
    CREATE_INVITE,
    LIST_INVITES,
    REVOKE_INVITE,
)
EVENTS = (SESSION_ENDED,)
