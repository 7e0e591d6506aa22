"""Answers for the inboxes of certified devices.

What stands in one was put there by the delivery service (welcomes) or by another device (notes), which
the server neither reads nor keeps for longer than it takes to be acknowledged.
"""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from lairchat.core.bodies import fit
from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.plan import Answer, Done, Read, Write
from lairchat.core.throttle import Rate, Throttle
from lairchat.features.identities import tables as identities
from lairchat.features.identities.tables import KeptLog
from lairchat.features.inbox import messages, tables
from lairchat.features.rooms import tables as rooms
from lairchat.model import limits
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.refusals import (
    DeviceGone,
    DeviceUnproven,
    IdentityUnknown,
    InboxAway,
    InboxEnd,
    InboxStranger,
    RateLimited,
)
from lairchat.trust.leaf import LeafIdentity
from lairchat.wire.contract import Nothing

SWEPT_PER_UPKEEP = 1_000
"""count: entries that one round of upkeep deletes; more would hold up the writer."""

SENT = Rate(burst=limits.INBOX_SENT, per_second=limits.INBOX_SENT_PER_MINUTE / limits.MINUTE)
"""Into how many inboxes one account may put something."""
SENT_TO_ONE = Rate(
    burst=limits.INBOX_SENT_TO_ONE,
    per_second=limits.INBOX_SENT_TO_ONE_PER_MINUTE / limits.MINUTE,
)
"""Into how many of them those of one other account: nobody can push out all notes of others."""


# -- one's own


def read(call: Call, request: messages.ReadInbox) -> Read[messages.InboxPage]:
    """Read one's own inbox, as much as fits."""
    session = call.session

    def query(connection: Connection) -> messages.InboxPage:
        identity = identities.require_proven(connection, session.id)
        stands = tables.inbox(connection, identity)
        found = tables.entries(connection, identity, request.after, request.limit)
        kept, _ = fit(map(_told, found))
        last = kept[-1].seq if kept else request.after
        more = next(tables.entries(connection, identity, last, 1), None) is not None
        return messages.InboxPage(entries=kept, head=stands.head, dropped=stands.dropped, more=more)

    return Read(query)


def _told(entry: tables.Kept) -> messages.InboxEntry:
    return messages.InboxEntry(
        seq=entry.seq,
        kind=entry.kind,  # type: ignore[arg-type]  # as it was delivered
        at=entry.at,
        body=entry.body,
        device=entry.device,
        account=None if entry.sender is None else entry.sender.account,
        sender=None if entry.sender is None else entry.sender.device,
    )


def ack(call: Call, request: messages.AckInbox) -> Write[Nothing]:
    """Delete what has been dealt with."""
    session = call.session

    def change(connection: Connection) -> Done[Nothing]:
        identity = identities.require_proven(connection, session.id)
        head = tables.inbox(connection, identity).head
        if request.upto > head:
            raise InboxEnd(head=head, field="$.upto")
        tables.acknowledge(connection, identity, request.upto)
        return Done(Nothing())

    return Write(change)


# -- others'


def send(call: Call, request: messages.SendNote) -> Write[Nothing]:
    """Put a note into all inboxes that are named."""
    session = call.session
    devices = list(dict.fromkeys(request.devices))
    throttle = call.kernel.throttle
    _take_allowance(throttle, session.user, request.account, len(devices))

    def change(connection: Connection) -> Done[Nothing]:
        sender = identities.proven(connection, session.id)
        kept = identities.kept_log(connection, request.account)
        if kept is None or not kept.current:
            raise IdentityUnknown(field="$.account")
        _require_acquainted(connection, session.user, sender, request.kind, kept)
        in_force = identities.devices_in_force(connection, kept.user)
        if not set(devices) <= set(in_force):
            raise DeviceGone(field="$.devices")
        rung = []
        for device in devices:
            identity = LeafIdentity(kept.account, device)
            seq = tables.deliver(
                connection,
                identity,
                request.kind,
                sender,
                request.body,
                call.now,
                sender_device=session.device,
            )
            rung += [(one, seq) for one in identities.server_devices(connection, identity)]
        return Done(Nothing(), _ringing(kept.user, rung))

    return Write(change)


def _take_allowance(throttle: Throttle, caller: UserId, account: bytes, cost: int) -> None:
    """Count what is sent, all of it or nothing; raises RateLimited."""
    allowances = ((("notes sent", caller), SENT), (("notes sent", caller, account), SENT_TO_ONE))
    if wait := max(throttle.peek(key, rate, cost) for key, rate in allowances):
        raise RateLimited(retry_after=wait)
    for key, rate in allowances:
        throttle.take(key, rate, cost)


def _require_acquainted(
    connection: Connection,
    user: UserId,
    sender: LeafIdentity | None,
    kind: messages.NoteKind,
    to: KeptLog,
) -> None:
    """Refuse a note that this session may not send there; raises InboxStranger, DeviceUnproven.

    A device that is to be linked has only logged in: it may write to those of its own account.
    """
    if kind == "link":
        if to.user != user:
            raise InboxStranger(field="$.account")
        return
    if sender is None:
        raise DeviceUnproven
    if to.user != user and not rooms.share_private(connection, user, to.user):
        raise InboxStranger(field="$.account")


def _ringing(user: UserId, rung: Sequence[tuple[DeviceId, int]]) -> After:
    """Return what tells connected devices of a new entry in their inboxes."""

    def after(hub: Hub) -> None:
        for device, seq in rung:
            hub.tell_device(
                user, device, event_frame(messages.INBOX_NEW.name, messages.InboxNew(seq))
            )

    return after


async def answer(call: Call, request: messages.AnswerNote) -> Answer[Nothing]:
    """Answer a connected device of one's own account that has no inbox yet; nothing is kept."""
    session, kernel = call.session, call.kernel
    identity = await kernel.storage.read(
        lambda connection: identities.require_proven(connection, session.id)
    )
    own = identity.account
    _take_allowance(kernel.throttle, session.user, own, 1)
    event = messages.InboxAnswer(account=own, sender=identity.device, body=request.body)
    frame = event_frame(messages.INBOX_ANSWER.name, event)
    if not kernel.hub.tell_device(session.user, DeviceId(request.device), frame):
        raise InboxAway(field="$.device")
    return Answer(Nothing())


# -- what others' changes mean here


def revoked(
    connection: Connection, _user: UserId, account: bytes, devices: Sequence[bytes], _now: int
) -> Sequence[After]:
    """Delete what waits for devices that are no more."""
    for device in devices:
        tables.forget(connection, LeafIdentity(account, device))
    return ()


def upkeep(connection: Connection, now: int, _live: Sequence[SessionId]) -> bool:
    """Delete some entries that nobody has come for; say whether more are left."""
    before = now - limits.INBOX_SECONDS * 1000
    return tables.sweep(connection, before, SWEPT_PER_UPKEEP) == SWEPT_PER_UPKEEP


def make() -> Feature:
    """Build the feature."""
    return Feature(
        name="inbox",
        needs=("identities", "rooms"),
        handlers={
            messages.READ: read,
            messages.ACK: ack,
            messages.SEND: send,
            messages.ANSWER: answer,
        },
        events=messages.EVENTS,
        revoked=revoked,
        upkeep=upkeep,
    )
