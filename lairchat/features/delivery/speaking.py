"""What devices say in encrypted rooms: messages, what is only passed on, and that something is deleted."""

from collections.abc import Callable

from sqlalchemy.engine import Connection

from lairchat.core.call import Call
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer, Done, Write
from lairchat.core.session import Session
from lairchat.core.throttle import Rate
from lairchat.features.delivery import messages, rules, tables
from lairchat.features.delivery.commits import append, require_open
from lairchat.features.identities import tables as identities
from lairchat.model import limits, refusals
from lairchat.model.events import EventClass
from lairchat.model.ids import RoomId, UserId
from lairchat.storage import log
from lairchat.trust.leaf import LeafIdentity
from lairchat.wire.contract import Nothing

PASSED_ON = Rate(burst=limits.EPHEMERAL_BURST, per_second=limits.EPHEMERAL_PER_SECOND)
"""What one device may have passed on that is not kept."""


def require_speaker(
    connection: Connection, session: Session, room: RoomId, *, over: bool = False
) -> tuple[LeafIdentity, tuple[bytes, int]]:
    """Return which device in a room's group a session is, with the group's id and epoch.

    Whose removal waits reads on until somebody has done it, but says nothing more.
    over: as :func:`~.commits.require_open` takes it.
    """
    _, identity = require_open(connection, session, room, over=over)
    place = tables.place(connection, room)
    if place is None:
        raise refusals.GroupMissing
    leaf = tables.leaf_of(connection, room, identity.account, identity.device)
    if leaf is None or tables.is_removed(connection, room, leaf.leaf):
        raise refusals.GroupRefused(why="this device is not in the group", field="$.room")
    return identity, place


def sealing(connection: Connection, session: Session, room: RoomId, message: bytes) -> None:
    """Take a message of a member's certified device, under the keys of this epoch."""
    _, place = require_speaker(connection, session, room)
    rules.check_sealed(message, *place)


async def pass_on(call: Call, request: messages.SendEphemeral) -> Answer[Nothing]:
    """Pass something on to all connections in a room but the caller's; nothing keeps or counts it."""
    session, room, kernel = call.session, RoomId(request.room), call.kernel
    if wait := kernel.throttle.take(("passed on", session.device), PASSED_ON):
        raise refusals.RateLimited(retry_after=wait)
    await kernel.storage.read(lambda connection: require_speaker(connection, session, room))
    event = messages.Ephemeral(room=room, user=session.user, body=request.body)
    # As an event of the room, so that who reads too slowly does not make it wait in memory.
    kernel.hub.publish(room, event_frame(messages.TOLD.name, event), call.peer)
    return Answer(Nothing())


class Deletions:
    """Taking back what was said; server: its identity key, which is in every room's policy."""

    def __init__(self, server: Callable[[], rules.Server]) -> None:
        self._server = server

    def delete(self, call: Call, request: messages.DeleteMessage) -> Write[messages.Hinted]:
        """Take the body from a message, and append the hint that says which."""
        session, room = call.session, RoomId(request.room)

        def change(connection: Connection) -> Done[messages.Hinted]:
            # What disappears does so in a conversation that is over, too.
            identity, _ = require_speaker(connection, session, room, over=True)
            found = log.page(connection, room, after=request.seq - 1, limit=1)
            target = next((event for event in found if event.seq == request.seq), None)
            if target is None or target.kind != EventClass.APP or target.body is None:
                raise refusals.MessageGone(seq=request.seq, field="$.seq")
            authors = _authors(connection, target, target.body)
            if identity.account not in authors:
                context = tables.context_now(connection, room)
                assert context is not None  # the speaker is in the group
                policy = rules.policy_in(context, self._server().public_key)
                rules.require_over(policy, identity.account, authors)
            log.purge(connection, room, [request.seq])
            body = rules.hint(request.seq)
            seq, frame = append(connection, call, room, EventClass.TOMBSTONE, body)
            return Done(messages.Hinted(seq=seq), lambda hub: hub.publish(room, frame))

        return Write(change)


def _authors(connection: Connection, event: log.Stored, message: bytes) -> set[bytes]:
    """Return the accounts of who sent a message, of those that were in its epoch.

    Somebody who had to begin a new account since is not who said it, to the members either.
    """
    own = identities.accounts_of(connection, UserId(event.sender))
    epoch = rules.sealed_in(message)
    return tables.accounts_at(connection, RoomId(event.room), epoch).intersection(own)
