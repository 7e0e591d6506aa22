"""Answers for reading places: how far a person has read, passed from one of their devices to the others.

The server learns that a device has read something somewhere.  Only a device that has proven to be one of
the account's is answered, and told: whoever has the password alone does not see even that.
"""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from lairchat.core.bodies import fit
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Done, Read, Write
from lairchat.core.throttle import Rate
from lairchat.features.identities import tables as identities
from lairchat.features.reading import messages, tables
from lairchat.features.reading.messages import Slot, SlotList
from lairchat.model import limits
from lairchat.model.ids import SessionId, UserId
from lairchat.model.refusals import RateLimited
from lairchat.wire.contract import Nothing

PUT = Rate(burst=limits.READING_BURST, per_second=limits.READING_PER_MINUTE / limits.MINUTE)
"""How often one session may say that it has read something: each time is told to all others."""


def put(call: Call, request: messages.PutPlaces) -> Write[Nothing]:
    """Keep the slot of the session's own device; there is no way to name another one."""
    session = call.session
    if wait := call.kernel.throttle.take(("reading", session.id), PUT):
        raise RateLimited(retry_after=wait)

    def change(connection: Connection) -> Done[Nothing]:
        own = identities.require_proven(connection, session.id)
        tables.keep(connection, own.account, own.device, request.data)
        others = _others(connection, session.user, own.device)
        return Done(Nothing(), _telling(session.user, others, Slot(own.device, request.data)))

    return Write(change)


def _others(connection: Connection, user: UserId, device: bytes) -> list[SessionId]:
    """Return the sessions that are proven to be other devices in force of a user's."""
    kept = identities.kept_log_of(connection, user)
    assert kept is not None, "a session has proven to be one of its devices"
    in_force = identities.devices_in_force(connection, user)
    others = [one for one in in_force if one != device]
    return identities.sessions_proven(connection, kept.id, others)


def _telling(user: UserId, sessions: Sequence[SessionId], moved: Slot) -> After:
    def after(hub: Hub) -> None:
        frame = event_frame(messages.MOVED.name, moved)
        for peer in hub.peers_of(user):
            if peer.session is not None and peer.session.id in sessions:
                peer.push(frame)

    return after


def list_slots(call: Call, request: messages.ListPlaces) -> Read[SlotList]:
    """List what the devices of the account have kept, as much as fits."""
    session = call.session

    def query(connection: Connection) -> SlotList:
        account = identities.require_proven(connection, session.id).account
        found = tables.listed(connection, account, request.after or b"")
        slots, more = fit(Slot(device, data) for device, data in found)
        return SlotList(slots, more)

    return Read(query)


# -- what others' changes mean here


def revoked(
    connection: Connection, _user: UserId, account: bytes, devices: Sequence[bytes], _now: int
) -> Sequence[After]:
    """Delete what devices have kept that are no more."""
    for device in devices:
        tables.drop(connection, account, device)
    return ()


def upkeep(connection: Connection, _now: int, _live: Sequence[SessionId]) -> bool:
    """Delete what devices of identities have kept that are no more; all of it at once."""
    tables.drop_forgotten(connection)
    return False


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="reading",
        needs=("identities",),
        handlers={messages.PUT: put, messages.LIST: list_slots},
        events=messages.EVENTS,
        revoked=revoked,
        upkeep=upkeep,
    )
