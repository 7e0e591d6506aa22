"""Decides who may do what, from tables alone; the same for every way into the server.

A rule is judged inside the transaction that acts on it, on roles read there: nothing in here
remembers, and nobody passes by an old answer.
What needs more than roles (bans, limits, whether somebody acts on himself) is the feature's.
"""

from enum import StrEnum

from lairchat.model.refusals import (
    AlreadyMember,
    Denied,
    NotMember,
    Refusal,
    RoomArchived,
    RoomDirect,
    RoomEncrypted,
    RoomLegacy,
    RoomReadOnly,
    RoomUnknown,
)
from lairchat.model.roles import Role, RoomRole, ServerRole


class Access(StrEnum):
    """Who finds and enters a room."""

    PUBLIC = "public"
    PRIVATE = "private"


class Posting(StrEnum):
    """Who writes in a room."""

    EVERYONE = "everyone"
    MEMBERS = "members"
    MODERATORS = "moderators"


class Crypto(StrEnum):
    """Who can read a room: ``plain`` the server too, ``mls`` its members' devices only."""

    PLAIN = "plain"
    MLS = "mls"


class RoomAction(StrEnum):
    """What somebody wants to do in a room."""

    READ = "read"
    POST = "post"
    JOIN = "join"
    LEAVE = "leave"
    INVITE = "invite"
    TOPIC = "topic"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    SET_ROLE = "set-role"
    STEP_DOWN = "step-down"
    LIST_MEMBERS = "list-members"


class ServerAction(StrEnum):
    """What somebody wants to do on the server as a whole."""

    CREATE_ROOM = "create-room"
    OPEN_DIRECT = "open-direct"
    CREATE_INVITE = "create-invite"
    REVOKE_INVITE = "revoke-invite"
    SET_SERVER_ROLE = "set-server-role"
    GOVERN = "govern"
    """Lock or ban an account, end its sessions, change its keys, reset its password."""
    SEE_ALL_ROOMS = "see-all-rooms"


ROOM_ROLE_NEEDED = {
    RoomAction.READ: RoomRole.GUEST,
    RoomAction.LEAVE: RoomRole.GUEST,
    RoomAction.LIST_MEMBERS: RoomRole.GUEST,
    RoomAction.STEP_DOWN: RoomRole.GUEST,
    RoomAction.INVITE: RoomRole.MEMBER,
    RoomAction.TOPIC: RoomRole.MODERATOR,
    RoomAction.KICK: RoomRole.MODERATOR,
    RoomAction.BAN: RoomRole.MODERATOR,
    RoomAction.UNBAN: RoomRole.MODERATOR,
    RoomAction.SET_ROLE: RoomRole.ADMIN,
}
"""The least role in the room for each action that depends on nothing else."""

POST_ROLE_NEEDED = {
    Posting.EVERYONE: RoomRole.GUEST,
    Posting.MEMBERS: RoomRole.MEMBER,
    Posting.MODERATORS: RoomRole.MODERATOR,
}
"""The least role that may write, by who posts in the room."""

RANKED = frozenset({RoomAction.KICK, RoomAction.BAN, RoomAction.SET_ROLE})
"""Actions aimed at a person, where rank protects that person."""

NEEDS_TARGET_INSIDE = frozenset({RoomAction.KICK, RoomAction.SET_ROLE})
"""Actions that only make sense on somebody in the room; a ban reaches others too."""

DIRECT_ACTIONS = frozenset({RoomAction.READ, RoomAction.POST, RoomAction.LIST_MEMBERS})
"""All that can be done in a direct conversation: it is its two people's, for good."""

ENCRYPTED_ACTIONS = frozenset({RoomAction.READ, RoomAction.LIST_MEMBERS})
"""All that the server's own rules decide in an encrypted room: who is in it and what they may do says
the policy that its members have signed, and sealed messages have a way of their own."""

ARCHIVED_ENDS = frozenset({RoomAction.POST, RoomAction.INVITE, RoomAction.TOPIC})
"""What nobody can do any more in an archived room, nor join it; it is read, left, and kept in order."""

LEGACY_ENDS = ARCHIVED_ENDS | {RoomAction.SET_ROLE, RoomAction.STEP_DOWN}
"""What nobody can do any more in a conversation from before encryption, nor join it; somebody can still
be shut out of what was said there."""

SERVER_ROLE_NEEDED = {
    ServerAction.CREATE_ROOM: ServerRole.USER,
    ServerAction.OPEN_DIRECT: ServerRole.USER,
    ServerAction.CREATE_INVITE: ServerRole.MODERATOR,
    ServerAction.REVOKE_INVITE: ServerRole.MODERATOR,
    ServerAction.SET_SERVER_ROLE: ServerRole.ADMIN,
    ServerAction.GOVERN: ServerRole.ADMIN,
    ServerAction.SEE_ALL_ROOMS: ServerRole.ADMIN,
}
"""The least role on the server for each action."""

SERVER_RANKED = frozenset(
    {ServerAction.SET_SERVER_ROLE, ServerAction.GOVERN, ServerAction.REVOKE_INVITE}
)
"""Actions aimed at an account, or at what it has made: nobody becomes an owner by giving an owner's
account a key, and no moderator undoes what an owner has sent out."""


def may_room(
    action: RoomAction,
    actor: RoomRole | None,
    *,
    access: Access,
    posting: Posting,
    target: RoomRole | None = None,
    granted: RoomRole | None = None,
    invited: bool = False,
    direct: bool = False,
    archived: bool = False,
    encrypted: bool = False,
) -> type[Refusal] | None:
    """Return None if the action is allowed, otherwise the refusal to raise (it takes no values).

    actor, target: role in the room of who acts and of whom it is done to; None = not in the room.
    granted: the role to give, for SET_ROLE; None asks whether the actor may give any.
    invited: the actor holds an invitation, which opens JOIN of a private room.
    direct: the room is a direct conversation.  archived: an operator has put it away.
    encrypted: the server cannot read it.
    """
    private = direct or access is Access.PRIVATE
    if actor is None:
        if private and (direct or not invited):
            return RoomUnknown  # the same answer as for a room that does not exist
        if action is not RoomAction.JOIN:
            return NotMember
        if private:  # no name leads in any more
            return RoomEncrypted if encrypted else RoomLegacy
        return RoomArchived if archived else None
    ended = _ended(action, private=private, direct=direct, archived=archived, encrypted=encrypted)
    if ended is not None:
        return ended
    if action is RoomAction.JOIN:
        return None  # joining again changes nothing
    if action is RoomAction.POST:
        return None if actor >= POST_ROLE_NEEDED[posting] else RoomReadOnly
    if actor < ROOM_ROLE_NEEDED[action]:
        return Denied
    if action is RoomAction.INVITE:
        return None if target is None else AlreadyMember
    return _may_reach(action, actor, target, granted) if action in RANKED else None


def may_server(
    action: ServerAction,
    role: ServerRole,
    *,
    target: ServerRole | None = None,
    granted: ServerRole | None = None,
) -> type[Refusal] | None:
    """Return None if the action is allowed, otherwise the refusal to raise (it takes no values).

    target: role of the account acted on, for what is aimed at one; granted: the role to give.
    """
    if role < SERVER_ROLE_NEEDED[action]:
        return Denied
    if action in SERVER_RANKED and not (_outranks(role, target) and _outranks(role, granted)):
        return Denied
    return None


def _ended(
    action: RoomAction, *, private: bool, direct: bool, archived: bool, encrypted: bool
) -> type[Refusal] | None:
    # What no member does in a room of this kind, whatever the role.
    if archived and action in ARCHIVED_ENDS:
        return RoomArchived
    if encrypted and action not in ENCRYPTED_ACTIONS:
        return RoomEncrypted
    if direct and action not in DIRECT_ACTIONS:
        return RoomDirect
    return RoomLegacy if private and action in LEGACY_ENDS else None


def _may_reach(
    action: RoomAction, actor: RoomRole, target: RoomRole | None, granted: RoomRole | None
) -> type[Refusal] | None:
    if target is None and action in NEEDS_TARGET_INSIDE:
        return NotMember
    if not _outranks(actor, target):
        return Denied
    return None if action is not RoomAction.SET_ROLE or _outranks(actor, granted) else Denied


def _outranks(actor: Role, other: Role | None) -> bool:
    # Owners alone reach their equals, so that a room can change hands.
    return other is None or other < actor or actor.name == other.name == "OWNER"
