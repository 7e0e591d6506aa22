"""People as operators see them, on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from lairchat.model import limits, refusals
from lairchat.model.roles import ServerRole
from lairchat.wire.contract import Change, Command, Outcome, Overlap, Reply, Request
from lairchat.wire.objects import Int63
from lairchat.wire.shown import Span, Time, flag

NameText = Annotated[str, Meta(max_length=128)]
ReasonText = Annotated[str, Meta(max_length=limits.REASON_CHARS * 4)]
RoleName = Literal["guest", "user", "moderator", "admin", "owner"]
State = Literal["ok", "locked", "banned"]


class ListUsers(Request, frozen=True):
    """List accounts by name.

    role: those with this role only.
    state: those in this state only.
    """

    role: RoleName | None = None
    state: State | None = None
    after: NameText = ""


class UserInfo(Reply, frozen=True):
    """One account.

    devices: sessions that it has.  last: when one of them was used; now, where it is connected.
    note: until when it is locked or banned, and why.
    """

    name: str
    role: RoleName
    state: State
    devices: Int63
    last: Time
    note: str


class UserList(Reply, frozen=True):
    """A page of accounts, by name."""

    users: list[UserInfo]
    next: str | None = None


class ShowUser(Request, frozen=True):
    """Show an account.

    name: whose account.
    """

    name: NameText


class UserDetails(Reply, frozen=True):
    """One account, more closely; ``until`` is 0 for a lock or ban without an end, or null."""

    name: str
    user: Int63
    role: RoleName
    state: State
    until: Time | None
    reason: str
    created: Time
    last: Time
    connections: Int63
    devices: Int63
    keys: Int63
    rooms: Int63


class LockUser(Change, frozen=True):
    """Keep somebody out of an account; its connections close, its sessions wait.

    name: whose account.
    period: for how long; otherwise until it is unlocked.
    reason: why; its owner is told.
    """

    name: NameText
    period: Annotated[Span, flag("for")] = 0
    reason: ReasonText = ""


class UnlockUser(Change, frozen=True):
    """Let somebody back into an account, and forget the failed logins under its name.

    name: whose account.
    """

    name: NameText


class SetServerRole(Change, frozen=True):
    """Give an account another role on the server, and in the server's own rooms.

    name: whose account.
    role: what it becomes.
    """

    name: NameText
    role: RoleName


class ListSessions(Request, frozen=True):
    """List sessions by number.

    name: one account's only.
    """

    name: NameText = ""
    after: Int63 = 0


class SessionInfo(Reply, frozen=True):
    """One session.

    connections: how many it has at this moment.  source: where they come from, an IPv6 address
    as its network.
    """

    session: Int63
    user: str
    device: str
    connections: Int63
    source: str
    last: Time
    since: Time


class SessionList(Reply, frozen=True):
    """A page of sessions."""

    sessions: list[SessionInfo]
    next: Int63 | None = None


class CloseSession(Change, frozen=True):
    """End a session: its device has to log in again.

    session: its number.
    """

    session: Int63


LIST_USERS = Command(
    name="admin.user_list",
    request=ListUsers,
    reply=UserList,
    doc="Lists accounts.",
    role=ServerRole.ADMIN,
    cli="user list",
)
SHOW_USER = Command(
    name="admin.user_show",
    request=ShowUser,
    reply=UserDetails,
    doc="Shows an account.",
    errors=(refusals.UserUnknown,),
    role=ServerRole.ADMIN,
    cli="user show {name}",
)
LOCK_USER = Command(
    name="admin.user_lock",
    request=LockUser,
    reply=Outcome,
    doc="Keeps somebody out of an account and closes its connections.",
    errors=(refusals.UserUnknown, refusals.OnOwnAccount, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user lock {name}",
    asks=True,
)
UNLOCK_USER = Command(
    name="admin.user_unlock",
    request=UnlockUser,
    reply=Outcome,
    doc="Lets somebody back into an account.",
    errors=(refusals.UserUnknown, refusals.OnOwnAccount, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user unlock {name}",
)
SET_ROLE = Command(
    name="admin.user_role",
    request=SetServerRole,
    reply=Outcome,
    doc="Gives an account another role on the server.",
    errors=(refusals.UserUnknown, refusals.OnOwnAccount, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="user role {name} {role}",
)
LIST_SESSIONS = Command(
    name="admin.session_list",
    request=ListSessions,
    reply=SessionList,
    doc="Lists the sessions of devices, and which are connected.",
    errors=(refusals.UserUnknown,),
    role=ServerRole.ADMIN,
    cli="session list [{name}]",
)
CLOSE_SESSION = Command(
    name="admin.session_close",
    request=CloseSession,
    reply=Outcome,
    doc="Ends the session of a device.",
    errors=(refusals.SessionUnknown, refusals.Denied),
    role=ServerRole.ADMIN,
    overlap=Overlap.WRITE,
    cli="session close {session}",
    asks=True,
)

COMMANDS = (
    LIST_USERS,
    SHOW_USER,
    LOCK_USER,
    UNLOCK_USER,
    SET_ROLE,
    LIST_SESSIONS,
    CLOSE_SESSION,
)
