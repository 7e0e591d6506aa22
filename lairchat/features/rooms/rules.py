"""What may be done in rooms, beyond the table of :mod:`lairchat.model.permissions`.

Pure decisions over roles and counts that the caller has read in the transaction that acts on them.
"""

from collections.abc import Collection, Hashable
from typing import Protocol, cast

from lairchat.features.rooms.messages import RoleName
from lairchat.model import limits
from lairchat.model.ids import UserId
from lairchat.model.names import name_key
from lairchat.model.permissions import Access, Posting, RoomAction, may_room
from lairchat.model.refusals import (
    InvitedEnough,
    LastOwner,
    OnSelf,
    RateLimited,
    RoomCrypto,
    RoomEncrypted,
    RoomPlain,
    RoomUnencrypted,
)
from lairchat.model.roles import RoomRole, ServerRole

LOBBY = "lobby"
"""The room that everybody begins in; it belongs to the server and outlives its members."""

LEFT = "LC-LEFT"
KICKED = "LC-KICKED"
BANNED = "LC-BANNED"
DELETED = "LC-DELETED"
"""Codes with which ``room.left`` says why: by oneself on another device, by a kick, by a ban, or
because an operator deleted the room."""

DIRECTS_OPENED = 1_000
"""Direct conversations that one account may open: nobody can leave one, so something has to bound
what an account makes the server keep.  Those that others open do not count, so that nobody is cut
off by strangers; nor do they count towards the rooms joined."""

ROLE_BY_SERVER_ROLE = {
    ServerRole.GUEST: RoomRole.GUEST,
    ServerRole.USER: RoomRole.MEMBER,
    ServerRole.MODERATOR: RoomRole.MODERATOR,
    ServerRole.ADMIN: RoomRole.ADMIN,
    ServerRole.OWNER: RoomRole.OWNER,
}
"""What somebody becomes in a room of the server's own: there the server's roles hold."""


class Judged(Protocol):
    """What the rule table looks at in a room; a :class:`~.tables.Room` has it."""

    @property
    def access(self) -> str:
        """Public or private."""

    @property
    def posting(self) -> str:
        """Who posts."""

    @property
    def direct(self) -> bool:
        """Whether it is a direct conversation."""

    @property
    def archived(self) -> bool:
        """Whether an operator has put it away."""

    @property
    def encrypted(self) -> bool:
        """Whether the server cannot read it."""


def require(
    action: RoomAction,
    room: Judged,
    role: RoomRole | None,
    *,
    target: RoomRole | None = None,
    granted: RoomRole | None = None,
    invited: bool = False,
) -> None:
    """Raise the refusal with which the rule table answers, if it refuses.

    role: the actor's in the room.  target: the role of whom it is done to.  granted: the role to
    give.  invited: the actor holds an invitation.
    """
    refusal = may_room(
        action,
        role,
        access=Access(room.access),
        posting=Posting(room.posting),
        target=target,
        granted=granted,
        invited=invited,
        direct=room.direct,
        archived=room.archived,
        encrypted=room.encrypted,
    )
    if refusal is not None:
        raise refusal


def check_plain(access: str) -> None:
    """Refuse a room for few that the server could read, however old the client that asks for one.

    Raises RoomUnencrypted.
    """
    if access == Access.PRIVATE:
        raise RoomUnencrypted(field="$.crypto")


def check_encrypted(access: str, name: str, topic: str) -> None:
    """Refuse an encrypted room that anybody could enter, or that tells the server what it is about.

    Raises RoomCrypto, RoomEncrypted.
    """
    if access != Access.PRIVATE:
        raise RoomCrypto(kind="public and encrypted", field="$.access")
    for field, value in (("$.name", name), ("$.topic", topic)):
        if value:
            raise RoomEncrypted(field=field)


def require_encrypted(room: Judged, role: RoomRole | None) -> None:
    """Refuse who is not in a room, and a room that the server reads.

    Raises RoomUnknown, NotMember, RoomPlain.
    """
    require(RoomAction.READ, room, role)
    if not room.encrypted:
        raise RoomPlain


def require_rarely(count: int, *, wait: float) -> None:
    """Refuse one more successor of a direct conversation than two people have in a day.

    count: how many there are of that day.  wait: seconds until the first of them is a day old.
    Raises RateLimited.
    """
    if count >= limits.DIRECTS_ANEW_A_DAY:
        raise RateLimited(retry_after=wait)


# -- inviting


def counted(by: UserId, name: str) -> Hashable:
    """Return under what invitations of one member to another are counted, whatever the room."""
    return "invitation", by, name_key(name)


def require_few(name: str, *, waiting: int, wait: float) -> None:
    """Refuse one invitation too many of one member to another; raises InvitedEnough.

    waiting: how many have no answer.  wait: seconds until there may be another one, 0: now.
    """
    if wait or waiting >= limits.INVITATIONS_WAITING:
        raise InvitedEnough(name=name, field="$.name", retry_after=wait or None)


def rings(by: UserId, before: Collection[UserId], muted: Collection[UserId]) -> bool:
    """Say whether somebody is told of an invitation: of the first of those whom they hear of.

    before: who has invited them into the room already.  muted: of whom they do not want to hear.
    """
    return by not in muted and set(before) <= set(muted)


# -- entering and leaving


def role_on_joining(server_role: ServerRole, *, servers_own: bool) -> RoomRole:
    """Return what a newcomer is in a room: a member, or a guest who is one on the server.

    servers_own: the room belongs to the server, so that its moderators are moderators there.
    """
    role = ROLE_BY_SERVER_ROLE[server_role]
    return role if servers_own else min(role, RoomRole.MEMBER)


def require_owner_stays(role: RoomRole, *, owners: int, servers_own: bool) -> None:
    """Refuse that the last owner of a room in which others are gives it up.

    A room of the server's own has its owners by their server role, so that they come and go.
    Raises LastOwner.
    """
    if role is RoomRole.OWNER and owners == 1 and not servers_own:
        raise LastOwner


def is_abandoned(*, members: int, servers_own: bool) -> bool:
    """Say whether a room that has just lost a member is to be put away: nobody is left in it."""
    return members == 0 and not servers_own


def require_step_down(role: RoomRole, granted: RoomRole) -> None:
    """Let somebody give up a role of one's own, never take a higher one; raises OnSelf."""
    if granted > role:
        raise OnSelf


def role_name(role: RoomRole) -> RoleName:
    """Return a role as the wire calls it."""
    return cast("RoleName", role.word)
