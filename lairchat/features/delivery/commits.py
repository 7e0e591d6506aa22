"""How groups begin and go on: each change is judged on a reading thread, and then is one transaction.

What costs time, signatures and the structural check, is done against the epoch that the change names;
the transaction compares that epoch with the one there is, and then everything is written or nothing.
Of two who change one epoch at once the writer's order decides; the other is told the epoch that won.
"""

from collections.abc import Callable

from sqlalchemy.engine import Connection
from twisted.internet.defer import DeferredLock

from lairchat.core.call import Call
from lairchat.core.feature import After
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Done, Write
from lairchat.core.session import Session
from lairchat.features.delivery import messages, moves, rules, tables
from lairchat.features.delivery.groups import Groups, KnownLogs
from lairchat.features.delivery.removals import Removals, each, event_of
from lairchat.features.identities import tables as identities
from lairchat.features.messages.messages import MESSAGE
from lairchat.features.rooms import rules as room_rules
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.tables import Room
from lairchat.features.transfer import tables as blobs
from lairchat.model import limits, refusals
from lairchat.model.events import EventClass
from lairchat.model.ids import RoomId, UserId
from lairchat.storage import log
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.structure import identity_of


def require_room(connection: Connection, room: RoomId, user: UserId) -> Room:
    """Return an encrypted room that a user is in; raises RoomUnknown, NotMember or RoomPlain."""
    found, role = rooms.room_for(connection, room, user)
    room_rules.require_encrypted(found, role)
    return found


def require_open(
    connection: Connection, session: Session, room: RoomId, *, over: bool = False
) -> tuple[Room, LeafIdentity]:
    """Return a room that a device may change, and the device.

    over: also a conversation that another one has followed, out of which things are still taken back.
    """
    found = require_room(connection, room, session.user)
    if found.archived:
        raise refusals.RoomArchived
    if found.direct and not over and rooms.is_followed(connection, room):
        raise refusals.RoomFollowed
    return found, identities.require_proven(connection, session.id)


def require_epoch(connection: Connection, room: RoomId, epoch: int) -> tables.Group:
    """Return a room's group, still in the epoch that was judged; raises EpochStale."""
    row = tables.group(connection, room)
    assert row is not None  # a group is never dropped
    if row.epoch != epoch:
        raise refusals.EpochStale(epoch=row.epoch)
    return row


def append(
    connection: Connection, call: Call, room: RoomId, kind: EventClass, body: bytes
) -> tuple[int, bytes]:
    """Append what a device has sent to the room's log; return its place and the frame that tells of it."""
    session = call.session
    assert call.key is not None
    entry = log.Entry(room, session.user, session.device, int(kind), call.key, body, call.now)
    (seq,) = log.append(connection, [entry])
    return seq, event_frame(MESSAGE.name, event_of(entry, seq, session.name))


def _repeated(connection: Connection, call: Call) -> bool:
    """Say whether this command was answered before: nothing is judged then, whatever came since."""
    assert call.key is not None
    kept = call.kernel.answers.find(connection, call.session.device, call.key)
    return kept is not None


class Commits:
    """Founding groups, changing them, proposing changes."""

    def __init__(
        self, groups: Groups, removals: Removals, server: Callable[[], rules.Server]
    ) -> None:
        self._groups = groups
        self._removals = removals
        self._server = server
        # One at a time: however many somebody sends, one reading thread is left for all else.
        self._turn = DeferredLock()

    # -- founding

    async def found(self, call: Call, request: messages.FoundGroup) -> Write[messages.Committed]:
        """Found the group of a room; the writer's order decides whose it is."""
        session, room = call.session, RoomId(request.room)

        def judge(connection: Connection) -> rules.Founded | None:
            if _repeated(connection, call):
                return None
            there, identity = require_open(connection, session, room)
            if tables.group(connection, room) is not None:
                raise refusals.GroupExists
            return rules.judge_founding(
                request.info,
                request.tree,
                founder=identity,
                parties=_parties(connection, there, session.user),
                follows=_follows(connection, there),
                server_key=self._server().public_key,
                logs=KnownLogs(connection),
            )

        founded = await self._turn.run(call.kernel.storage.read, judge)

        def change(connection: Connection) -> Done[messages.Committed]:
            assert founded is not None  # else the kept answer was given
            _, identity = require_open(connection, session, room)
            if identity != founded.identity:
                raise refusals.DeviceUnproven
            group, context = founded.group, founded.group.context
            if tables.group(connection, room) or tables.is_taken(connection, context.group_id):
                raise refusals.GroupExists
            seq = log.heads(connection, [room])[room].seq
            row = tables.Group(room, context.group_id, 0, request.info, seq, rejoined=False)
            tables.begin(connection, row, context.encode(), call.now)
            leaf = group.tree.member(0)
            tables.change_nodes(connection, room, 0, [], [(0, leaf.encode())])
            mine = tables.Leaf(room, 0, identity.account, identity.device, leaf.signature_key)
            tables.change_leaves(connection, room, 0, [], [mine])
            return Done(messages.Committed(seq=seq, epoch=0))

        return Write(change)

    # -- commits

    async def commit(self, call: Call, request: messages.CommitGroup) -> Write[messages.Committed]:
        """Begin the next epoch."""
        session, room = call.session, RoomId(request.room)

        def judge(connection: Connection) -> tuple[bytes, rules.Judged] | None:
            if _repeated(connection, call):
                return None
            _, identity = require_open(connection, session, room)
            epoch = self._groups.require(connection, room)
            message = _whole(
                connection, session.user, request.message, request.blob, limits.COMMIT_BYTES
            )
            welcome = _whole(
                connection,
                session.user,
                request.welcome,
                request.welcome_blob,
                limits.WELCOME_BYTES,
            )
            judged = rules.judge_commit(
                epoch.group,
                message,
                request.info,
                welcome,
                by=identity,
                now=call.now,
                server_key=self._server().public_key,
                logs=KnownLogs(connection),
            )
            return message, judged

        judged = await self._turn.run(call.kernel.storage.read, judge)

        def change(connection: Connection) -> Done[messages.Committed]:
            assert judged is not None  # else the kept answer was given
            return self._take(connection, call, request, *judged)

        return Write(change)

    def _take(
        self,
        connection: Connection,
        call: Call,
        request: messages.CommitGroup,
        message: bytes,
        judged: rules.Judged,
    ) -> Done[messages.Committed]:
        """Let a commit that was judged begin its epoch, if nothing has come before it."""
        session, room = call.session, RoomId(request.room)
        there, identity = require_open(connection, session, room)
        row = require_epoch(connection, room, judged.before.context.epoch)
        if identity != judged.change.committer:
            raise refusals.DeviceUnproven
        wanted = tables.removals(connection, room)
        rules.require_staying(judged, wanted)
        held = [one.leaf for one in wanted if one.proposed]
        rules.require_removals(judged, held, rejoined=row.rejoined)
        _require_in_force(connection, judged)
        moved = moves.moved_by(connection, there, judged)
        added = moves.newcomers(connection, judged, request.admissions)
        moves.require_places(connection, moved, added)
        agreed: list[After] = []
        if moved.came:
            agreed = call.kernel.adding(connection, room, moved.came, call.now)

        after = judged.transition.after
        body, large = rules.event_body(message)
        seq, frame = append(connection, call, room, EventClass.COMMIT, body)
        if large is not None:
            tables.keep_body(connection, room, seq, large)
        now_in = tables.Group(
            room,
            row.group_id,
            after.context.epoch,
            request.info,
            seq,
            rejoined=bool(held) and judged.transition.external,
        )
        tables.advance(connection, now_in, after.context.encode(), call.now)
        self._write_tree(connection, room, judged)
        tables.drop_removals(connection, room, judged.removed)
        tables.set_proposed(connection, room, [])
        frames = [frame, *self._removals.propose(connection, room, after, call.now)]
        welcomed = moves.deliver(connection, call, judged.change.committer, added)
        moves.move(connection, there, moved, call.now)
        for blob in (request.blob, request.welcome_blob):
            _drop(connection, session.user, blob)
        self._groups.keep(after, request.info)
        joined = moves.told_newcomers(there, moved, log.heads(connection, [room])[room].seq)
        told = moves.Told(room, frames, moved, welcomed, joined)
        reply = messages.Committed(seq=seq, epoch=after.context.epoch)
        return Done(reply, each([*agreed, told.after]))

    def _write_tree(self, connection: Connection, room: RoomId, judged: rules.Judged) -> None:
        transition, epoch = judged.transition, judged.transition.context.epoch
        nodes = rules.changed_nodes(judged.before.tree, transition.tree)
        tables.change_nodes(connection, room, epoch, *nodes)
        places = [place for place, _ in transition.applied.added]
        if transition.external:
            places.append(transition.committer)
        begun = []
        for place in places:
            leaf = transition.tree.member(place)
            identity = identity_of(leaf)
            begun.append(
                tables.Leaf(room, place, identity.account, identity.device, leaf.signature_key)
            )
        tables.change_leaves(connection, room, epoch, transition.applied.removed, begun)

    # -- proposals

    async def propose(
        self, call: Call, request: messages.ProposeChange
    ) -> Write[messages.Proposed]:
        """Keep a member's proposal until the next commit."""
        session, room = call.session, RoomId(request.room)

        def judge(connection: Connection) -> tuple[int, int] | None:
            if _repeated(connection, call):
                return None
            _, identity = require_open(connection, session, room)
            epoch = self._groups.require(connection, room)
            leaf = rules.judge_proposal(
                epoch.group,
                request.message,
                by=identity,
                server_key=self._server().public_key,
                logs=KnownLogs(connection),
            )
            return epoch.row.epoch, leaf

        judged = await self._turn.run(call.kernel.storage.read, judge)

        def change(connection: Connection) -> Done[messages.Proposed]:
            assert judged is not None  # else the kept answer was given
            number, leaf = judged
            require_open(connection, session, room)
            require_epoch(connection, room, number)
            waiting = tables.proposals(connection, room)
            rules.require_place([one.leaf for one in waiting], leaf)
            # Others may have come since it was judged.
            rules.require_together([one.data for one in waiting], request.message)
            seq, frame = append(connection, call, room, EventClass.PROPOSAL, request.message)
            kept = tables.Proposal(seq, leaf, request.message)
            tables.keep_proposals(connection, room, [kept])
            return Done(messages.Proposed(seq=seq), lambda hub: hub.publish(room, frame))

        return Write(change)


# -- what a commit needs, and what follows from it


def _parties(connection: Connection, room: Room, user: UserId) -> tuple[bytes, bytes] | None:
    """Return the two accounts of a direct conversation, as they are now; None for another room."""
    if not room.direct:
        return None
    other = rooms.partners(connection, user, [room.id])[room.id]
    found = [identities.current_log(connection, one) for one in (user, other)]
    mine, theirs = found
    assert mine is not None
    assert theirs is not None  # else there would be no such room
    return mine.account, theirs.account


def _follows(connection: Connection, room: Room) -> bytes:
    """Return the id of the group that a direct conversation's has to follow; empty if none.

    Of conversations before it that never came to have one, it follows the one before these.
    """
    before = rooms.between(connection, [room.id])[room.id].follows if room.direct else None
    while before is not None:
        row = tables.group(connection, before)
        if row is not None:
            return row.group_id
        before = rooms.between(connection, [before])[before].follows
    return b""


def _whole(
    connection: Connection, user: UserId, inline: bytes, blob: bytes | None, most: int
) -> bytes:
    """Return what came inside the command, or ahead of it as a blob."""
    if blob is None:
        return inline
    found = blobs.find(connection, user, blob)
    if found is None or not found.complete or found.total > most:
        raise refusals.GroupBlob(limit=most)
    return b"".join(blobs.chunks(connection, found))


def _drop(connection: Connection, user: UserId, blob: bytes | None) -> None:
    found = None if blob is None else blobs.find(connection, user, blob)
    if found is not None:
        blobs.drop(connection, found.id)


def _require_in_force(connection: Connection, judged: rules.Judged) -> None:
    """Refuse to add a device that has been revoked since its key package was made.

    Members judge by the head in the leaf and would take it; here it shows that it must go again.
    """
    logs = KnownLogs(connection)
    for _, add in judged.transition.applied.added:
        rules.require_in_force(add.key_package.leaf, logs)
