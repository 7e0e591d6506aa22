"""Answers what delivery.messages declares, and judges what is sent into encrypted rooms.

In them the server reads only what is public in MLS, and takes only what it can check: it may refuse,
it cannot forge.  Founding, committing and proposing are in ``commits``, what is said in ``speaking``,
the server's own proposals in ``removals``, what is kept in memory in ``groups``.
"""

from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer, Done, Read, Write
from lairchat.core.session import Session
from lairchat.features.delivery import messages, rules, speaking, tables
from lairchat.features.delivery.commits import Commits, require_room
from lairchat.features.delivery.groups import Groups
from lairchat.features.delivery.removals import Removals, each
from lairchat.features.identities import tables as identities
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import ROOM_LEFT, RoomLeft
from lairchat.model import limits, refusals
from lairchat.model.ids import DeviceId, RoomId, SessionId, UserId
from lairchat.storage import log
from lairchat.wire.contract import Nothing

FORGOTTEN_AT_ONCE = 500
"""count: nodes of old trees that one round of upkeep forgets; more would hold up the writer."""


class Delivery:
    """The delivery service; server: its identity key, read when it is first needed."""

    def __init__(self, server: Callable[[], rules.Server]) -> None:
        self.groups = Groups(limits.GROUP_CACHE_BYTES)
        self.removals = Removals(self.groups, server)
        self.commits = Commits(self.groups, self.removals, server)
        self._server = server
        self._leases: dict[RoomId, tuple[DeviceId, float]] = {}

    # -- where a group stands

    def state(self, call: Call, request: messages.AskGroup) -> Read[messages.GroupState]:
        """Tell where a group stands."""
        session, room = call.session, RoomId(request.room)

        def query(connection: Connection) -> messages.GroupState:
            _require_reader(connection, session, room)
            row, group, waiting = self.groups.require(connection, room)
            removals = tables.removals(connection, room)
            return messages.GroupState(
                group=row.group_id,
                epoch=row.epoch,
                tree_hash=group.context.tree_hash,
                seq=row.seq,
                devices=sum(1 for _ in group.tree.members()),
                proposals=len(waiting),
                removals=sum(one.proposed for one in removals),
            )

        return Read(query)

    def info(self, call: Call, request: messages.AskGroup) -> Read[messages.GroupInformation]:
        """Give the information that the last committer signed."""
        session, room = call.session, RoomId(request.room)

        def query(connection: Connection) -> messages.GroupInformation:
            _require_reader(connection, session, room)
            row = tables.group(connection, room)
            if row is None:
                raise refusals.GroupMissing
            return messages.GroupInformation(epoch=row.epoch, info=row.info)

        return Read(query)

    def tree(self, call: Call, request: messages.AskTree) -> Read[messages.Part]:
        """Read a part of an epoch's tree."""
        session, room = call.session, RoomId(request.room)

        def query(connection: Connection) -> messages.Part:
            _require_reader(connection, session, room)
            whole = self.groups.tree(connection, room, request.epoch)
            start = request.offset
            if start >= len(whole):
                raise refusals.BlobOffset(field="$.offset", expected=len(whole), offset=start)
            data = whole[start : start + request.length]
            return messages.Part(offset=start, total=len(whole), data=data)

        return Read(query)

    # -- whose turn it is

    async def lease(self, call: Call, request: messages.AskGroup) -> Answer[messages.Lease]:
        """Let one device commit what waits, and the others wait for it: nothing depends on it."""
        session, room = call.session, RoomId(request.room)
        await call.kernel.storage.read(
            lambda connection: _require_reader(connection, session, room)
        )
        now = call.now / 1000
        for over in [one for one, (_, until) in self._leases.items() if until <= now]:
            del self._leases[over]
        holder, until = self._leases.get(room, (session.device, 0.0))
        if holder != session.device:
            raise refusals.GroupLease(retry_after=until - now)
        self._leases[room] = session.device, now + limits.LEASE_SECONDS
        return Answer(messages.Lease(seconds=limits.LEASE_SECONDS))

    # -- leaving

    def leave(self, call: Call, request: messages.AskGroup) -> Write[Nothing]:
        """Have the caller's devices removed; with nobody left to do it, be out at once."""
        session, room = call.session, RoomId(request.room)

        def change(connection: Connection) -> Done[Nothing]:
            there = require_room(connection, room, session.user)
            if there.direct:
                raise refusals.RoomDirect
            identities.require_proven(connection, session.id)
            stay = self._staying(connection, room, session.user)
            if not stay:
                rooms.remove(connection, room, session.user)
                if there.members == 1:
                    rooms.archive(connection, room)
                return Done(Nothing(), _gone(call, session.user, room))
            epoch = self.groups.require(connection, room)
            own = set(identities.accounts_of(connection, session.user))
            others = {one for user in stay for one in identities.accounts_of(connection, user)}
            if rules.would_orphan(epoch.group, self._server().public_key, own, others):
                raise refusals.LastAdministrator
            mine = [one for one in tables.leaves(connection, room) if one.account in own]
            return Done(Nothing(), each(self.removals.leave(connection, mine, call.now)))

        return Write(change)

    def _staying(self, connection: Connection, room: RoomId, user: UserId) -> set[UserId]:
        """Return the other members of a room, but for those who are to be removed."""
        inside = set(rooms.inside(connection, room))
        leaving = {
            identities.user_of(connection, one.account)
            for one in tables.removals(connection, room)
            if one.because != rules.REVOKED
        }
        return inside - leaving - {user}


def _require_reader(connection: Connection, session: Session, room: RoomId) -> None:
    """Refuse who may not see the public part of a room's group."""
    require_room(connection, room, session.user)
    identities.require_proven(connection, session.id)


def begun(call: Call, request: messages.AskEpoch) -> Read[messages.EpochBegun]:
    """Tell where an epoch began."""
    session, room = call.session, RoomId(request.room)

    def query(connection: Connection) -> messages.EpochBegun:
        _require_reader(connection, session, room)
        if tables.place(connection, room) is None:
            raise refusals.GroupMissing
        seq = tables.begun(connection, room, request.epoch)
        if seq is None:
            raise refusals.GroupTree(epoch=request.epoch, field="$.epoch")
        (event,) = log.page(connection, room, after=seq - 1, limit=1)
        return messages.EpochBegun(seq=seq, hash=event.hash)

    return Read(query)


def commit_body(call: Call, request: messages.AskCommit) -> Read[messages.Part]:
    """Read a part of a commit that is too large for its event."""
    session, room = call.session, RoomId(request.room)

    def query(connection: Connection) -> messages.Part:
        _require_reader(connection, session, room)
        found = tables.body(connection, room, request.seq, request.offset, request.length)
        if found is None:
            raise refusals.BlobUnknown(field="$.seq")
        total, data = found
        if not data:
            raise refusals.BlobOffset(field="$.offset", expected=total, offset=request.offset)
        return messages.Part(offset=request.offset, total=total, data=data)

    return Read(query)


def _gone(call: Call, user: UserId, room: RoomId) -> Callable[[Hub], None]:
    left = RoomLeft(room=room, code=room_rules.LEFT, text="you left an encrypted room")

    def after(hub: Hub) -> None:
        hub.exit(user, room)
        hub.tell(user, event_frame(ROOM_LEFT.name, left), but=call.peer)

    return after


def encrypting(connection: Connection, users: Sequence[UserId]) -> None:
    """Refuse an encrypted room with somebody who has no keys; raises IdentityUnknown."""
    for user in users:
        if identities.kept_log_of(connection, user) is None:
            raise refusals.IdentityUnknown


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Forget some nodes of trees that nobody is welcomed to any more; say whether more are left."""
    before = now - limits.TREES_KEPT_SECONDS * 1000
    return tables.forget_trees(connection, before, FORGOTTEN_AT_ONCE)


def make(server: Callable[[], rules.Server]) -> Feature:
    """Build the feature; server: gives the server's identity key, by which it proposes removals."""
    delivery = Delivery(server)
    return Feature(
        name="delivery",
        needs=("rooms", "identities", "inbox", "transfer"),
        handlers={
            messages.FOUND: delivery.commits.found,
            messages.COMMIT: delivery.commits.commit,
            messages.PROPOSE: delivery.commits.propose,
            messages.STATE: delivery.state,
            messages.INFO: delivery.info,
            messages.BEGUN: begun,
            messages.TREE: delivery.tree,
            messages.COMMIT_BODY: commit_body,
            messages.LEASE: delivery.lease,
            messages.LEAVE: delivery.leave,
            messages.EPHEMERAL: speaking.pass_on,
            messages.TOMBSTONE: speaking.Deletions(server).delete,
        },
        events=messages.EVENTS,
        encrypting=encrypting,
        sealing=speaking.sealing,
        revoked=delivery.removals.revoked,
        shut_out=delivery.removals.shut_out,
        upkeep=upkeep,
    )
