"""Who comes into a room with a commit and who goes, and what everybody is told of it."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.features.delivery import rules
from lairchat.features.delivery.messages import Admission
from lairchat.features.identities import tables as identities
from lairchat.features.inbox import tables as inboxes
from lairchat.features.inbox.messages import INBOX_NEW, InboxNew
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import (
    ROOM_JOINED,
    ROOM_LEFT,
    RoomInfo,
    RoomJoined,
    RoomLeft,
)
from lairchat.features.rooms.tables import Room
from lairchat.model import limits, refusals
from lairchat.model.ids import DeviceId, RoomId, UserId
from lairchat.model.roles import RoomRole
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.policy import Because
from lairchat.trust.structure import Removed, accounts_in


class Newcomer(NamedTuple):
    """A device that a commit adds: whose, its welcome, and the proof for who came with a code."""

    user: UserId
    identity: LeafIdentity
    welcome: bytes
    proof: bytes | None


class Welcomed(NamedTuple):
    """An entry in a newcomer's inbox: whose, on which connections, and where."""

    user: UserId
    devices: list[DeviceId]
    seq: int


class Moved(NamedTuple):
    """Who comes into a room with a commit, and who goes, each with the reason."""

    came: list[UserId]
    went: list[tuple[UserId, Because, bool]]


def moved_by(connection: Connection, room: Room, judged: rules.Judged) -> Moved:
    """Say whose accounts have a device in the group from now on, and whose no more.

    The two of a direct conversation are in it whatever devices they have.
    """
    if room.direct:
        return Moved([], [])
    before = accounts_in(judged.before.tree)
    after = accounts_in(judged.transition.tree)
    came = {_user(connection, account) for account in after - before}
    went = {_user(connection, account) for account in before - after}
    if came or went:
        # Somebody may have two accounts in it for a while: with new recovery words.
        stays = {_user(connection, account) for account in before & after}
        came, went = came - stays, went - stays
    both = came & went
    reasons = {_user(connection, one.identity.account): one for one in judged.change.removed}
    return Moved(
        sorted(came - both),
        [(user, reasons[user].because, _by_self(reasons[user])) for user in sorted(went - both)],
    )


def _user(connection: Connection, account: bytes) -> UserId:
    user = identities.user_of(connection, account)
    assert user is not None  # its log was read
    return user


def _by_self(removed: Removed) -> bool:
    return removed.by is not None and removed.by.account == removed.identity.account


def newcomers(
    connection: Connection, judged: rules.Judged, admissions: Sequence[Admission]
) -> list[Newcomer]:
    """Return the devices that a commit adds; raises GroupRefused for a proof for anybody else."""
    users = [_user(connection, identity.account) for identity, _ in judged.welcomes]
    proofs = rules.admitted(admissions, set(users))
    return [
        Newcomer(user, identity, welcome, proofs.get(user))
        for user, (identity, welcome) in zip(users, judged.welcomes, strict=True)
    ]


def require_places(connection: Connection, moved: Moved, added: Sequence[Newcomer]) -> None:
    """Refuse a commit that adds whom there is no place for; raises RoomsMax, InboxFull."""
    for user in moved.came:
        if rooms.joined(connection, user) >= limits.ROOMS_JOINED:
            raise refusals.RoomsMax(limit=limits.ROOMS_JOINED)
    for one in added:
        sizes = [len(one.welcome)] + ([] if one.proof is None else [len(one.proof)])
        inboxes.require_room(connection, one.identity, *sizes)


def deliver(
    connection: Connection, call: Call, committer: LeafIdentity, added: Sequence[Newcomer]
) -> list[Welcomed]:
    """Put the welcomes into the inboxes of those whom a commit adds, each with its proof behind it."""
    found = []
    for one in added:
        devices = identities.server_devices(connection, one.identity)
        for kind, body in ((inboxes.WELCOME, one.welcome), (inboxes.ADMIT, one.proof)):
            if body is None:
                continue
            seq = inboxes.deliver(
                connection,
                one.identity,
                kind,
                committer,
                body,
                call.now,
                sender_device=call.session.device,
            )
            found.append(Welcomed(one.user, devices, seq))
    return found


def move(connection: Connection, room: Room, moved: Moved, now: int) -> None:
    """Let the members be those whose accounts are in the group."""
    for user, _, _ in moved.went:
        rooms.remove(connection, room.id, user)
    for user in moved.came:
        rooms.add(connection, room.id, user, RoomRole.MEMBER, now)
        rooms.read_to_end(connection, user, room.id)


def told_newcomers(room: Room, moved: Moved, head: int) -> RoomInfo:
    """Return what newcomers are told of the room."""
    return RoomInfo(
        room=room.id,
        name="",
        kind=room.kind,
        access=room.access,
        posting=room.posting,
        crypto=room.crypto,
        topic="",
        members=room.members + len(moved.came) - len(moved.went),
        head=head,
        role="member",
    )


_FAREWELLS = {
    Because.DECIDED: (room_rules.KICKED, "you were removed from an encrypted room"),
    Because.REVOKED: (room_rules.KICKED, "your last device in an encrypted room is revoked"),
    Because.BANNED: (room_rules.BANNED, "you were removed from an encrypted room"),
    Because.LEFT: (room_rules.LEFT, "you left an encrypted room"),
}


class Told(NamedTuple):
    """What others hear of a commit, in this order: the room first, then who goes and who comes."""

    room: RoomId
    frames: list[bytes]
    moved: Moved
    welcomed: list[Welcomed]
    info: RoomInfo

    def after(self, hub: Hub) -> None:
        """Tell it."""
        for frame in self.frames:
            hub.publish(self.room, frame)
        for user, because, by_self in self.moved.went:
            hub.exit(user, self.room)
            code, text = _FAREWELLS[Because.LEFT if by_self else because]
            left = RoomLeft(room=self.room, code=code, text=text)
            hub.tell(user, event_frame(ROOM_LEFT.name, left))
        joined = event_frame(ROOM_JOINED.name, RoomJoined(self.info))
        for user in self.moved.came:
            hub.enter(user, self.room)
            hub.tell(user, joined)
        for one in self.welcomed:
            frame = event_frame(INBOX_NEW.name, InboxNew(seq=one.seq))
            for device in one.devices:
                hub.tell_device(one.user, device, frame)
