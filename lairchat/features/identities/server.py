"""Answers for account logs, and for the proof that a session is a certified device.

Signatures are checked on a reading thread; the transaction then only looks whether what they were
checked against is still the head.  Nobody but the owner of the root or of a device-signing key can
append, so who is logged in to the account may bring entries, certified or not: that is how a new
device comes in.
"""

from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy.engine import Connection
from twisted.logger import Logger

from lairchat.core.call import Call
from lairchat.core.feature import After, Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import event_frame
from lairchat.core.peer import Peer
from lairchat.core.plan import Done, Read, Write
from lairchat.core.session import Session
from lairchat.features.accounts import tables as accounts
from lairchat.features.identities import messages, rules, tables
from lairchat.features.identities.messages import LogHead, LogPart
from lairchat.features.identities.tables import KeptLog
from lairchat.model import limits
from lairchat.model.identity import ServerId
from lairchat.model.ids import RoomId, SessionId, UserId
from lairchat.model.refusals import (
    AuthToken,
    DeviceGone,
    IdentityUnknown,
    LogStale,
)
from lairchat.trust.log import AccountLog
from lairchat.wire.contract import Nothing

ENTRIES_AT_ONCE = 256
"""count: entries read for one answer; the smallest ones would not fill it."""

log = Logger()


def make(server: Callable[[], ServerId]) -> Feature:
    """Build the feature; server: says whose logs are kept here, and for whom proofs are made."""
    return Feature(
        name="identities",
        needs=("accounts",),
        handlers={
            messages.PUBLISH: partial(publish, server),
            messages.APPEND: append,
            messages.READ: read,
            messages.PROVE: partial(prove, server),
        },
        events=messages.EVENTS,
    )


# -- logs


async def publish(
    server: Callable[[], ServerId], call: Call, request: messages.PublishLog
) -> Write[LogHead]:
    """Begin a log; the user goes by it from now on, and an older one stays to be read."""
    session = call.session
    begun: rules.Grown = await call.kernel.storage.read(
        lambda _connection: rules.begun(request.log, server(), session.name)
    )

    def change(connection: Connection) -> Done[LogHead]:
        there = tables.kept_log(connection, begun.log.account)
        if there is not None and there.current and there.head == begun.log.head:
            return Done(_head(begun.log))
        if there is not None:
            # Longer by now, or given up: to begin it again would take entries from it.
            raise LogStale(position=there.head.position)
        rules.require_another(tables.started(connection, session.user), call.now)
        tables.begin(connection, session.user, begun.log, begun.parts, call.now)
        tables.verified.keep(begun.log)
        log.info("user {user} began an account log", user=session.user)
        return Done(_head(begun.log), _told(call, connection, begun.log))

    return Write(change)


async def append(call: Call, request: messages.AppendEntries) -> Write[LogHead]:
    """Append to the log, unless it is longer than the caller knows."""
    session = call.session

    def verify(connection: Connection) -> tuple[KeptLog, rules.Grown]:
        kept = tables.kept_log_of(connection, session.user)
        before = tables.current_log(connection, session.user)
        if kept is None or before is None:
            raise IdentityUnknown
        if request.after != kept.head.position:
            raise LogStale(position=kept.head.position, field="$.after")
        return kept, rules.grown(before, request.entries)

    kept, grown = await call.kernel.storage.read(verify)

    def change(connection: Connection) -> Done[LogHead]:
        now_kept = tables.kept_log_of(connection, session.user)
        if now_kept != kept:
            position = 0 if now_kept is None else now_kept.head.position
            raise LogStale(position=position, field="$.after")
        ended = tables.sessions_proven(connection, kept.id, grown.revoked)
        tables.grow(connection, kept, grown.log, grown.parts)
        tables.verified.keep(grown.log)
        afters = [_told(call, connection, grown.log)]
        if grown.revoked:
            afters += call.kernel.revoked(
                connection, session.user, kept.account, grown.revoked, call.now
            )
            # With a session its proof goes.
            accounts.end_sessions(connection, ended)
            afters.append(_closing(session.user, ended))
            log.info(
                "user {user} revoked {count} devices", user=session.user, count=len(grown.revoked)
            )
        return Done(_head(grown.log), _each(afters))

    return Write(change)


def _head(found: AccountLog) -> LogHead:
    return LogHead(account=found.account, position=found.head.position, hash=found.head.hash)


def _told(call: Call, connection: Connection, changed: AccountLog) -> After:
    """Return what tells those whom a changed log concerns."""
    session, author = call.session, call.peer
    rooms = call.kernel.rooms_of(connection, session.user)
    frame = event_frame(
        messages.IDENTITY_CHANGED.name,
        messages.IdentityChanged(
            user=session.user,
            name=session.name,
            account=changed.account,
            position=changed.head.position,
            hash=changed.head.hash,
        ),
    )

    def after(hub: Hub) -> None:
        for peer in concerned(hub, session.user, rooms):
            if peer is not author:
                peer.push(frame)

    return after


def concerned(hub: Hub, user: UserId, rooms: Iterable[RoomId]) -> list[Peer]:
    """Return the connections of a user, and those in rooms that may be encrypted, each once.

    Left out is who does not read, as with other events of rooms: the next sealed message of that
    account names the head of its log.
    """
    found = dict.fromkeys(hub.peers_of(user))
    for room in rooms:
        channel = hub.channels.get(room)
        if channel is not None and len(channel.peers) <= limits.ROOM_DEVICES:
            found.update(
                dict.fromkeys(
                    peer
                    for peer in channel.peers
                    if peer.gap is None and peer.outbox_bytes <= limits.OUTBOX_BYTES
                )
            )
    return list(found)


def _closing(user: UserId, ended: list[SessionId]) -> After:
    refusal, gone = AuthToken(), set(ended)

    def which(session: Session) -> bool:
        return session.id in gone

    return lambda hub: hub.close_sessions(user, which, refusal.code, refusal.text)


def _each(afters: Iterable[After]) -> After:
    def after(hub: Hub) -> None:
        for tell in afters:
            tell(hub)

    return after


def read(_call: Call, request: messages.ReadLog) -> Read[LogPart]:
    """Read a log, as much as fits."""

    def query(connection: Connection) -> LogPart:
        kept = _asked(connection, request)
        start = 0 if request.after is None else request.after + 1
        found = tables.entries_from(connection, kept.id, start, ENTRIES_AT_ONCE)
        parts = rules.fitting(found)
        return LogPart(
            user=kept.user,
            name=accounts.names_of(connection, [kept.user])[kept.user],
            account=kept.account,
            current=kept.current,
            position=kept.head.position,
            hash=kept.head.hash,
            data=rules.vector(parts) if start else rules.whole(parts),
            more=start + len(parts) <= kept.head.position,
        )

    return Read(query)


def _asked(connection: Connection, request: messages.ReadLog) -> KeptLog:
    """Return the log that is meant: the account's, or the user's current one."""
    if request.account is not None:
        kept = tables.kept_log(connection, request.account)
    else:
        user = accounts.require_user(connection, request.name or "")
        kept = tables.kept_log_of(connection, user.id)
    if kept is None:
        raise IdentityUnknown
    return kept


# -- proofs


async def prove(
    server: Callable[[], ServerId], call: Call, request: messages.ProveDevice
) -> Write[Nothing]:
    """Take the proof that this session is a certified device."""
    session = call.session

    def verify(connection: Connection) -> AccountLog:
        found = tables.current_log(connection, session.user)
        if found is None:
            raise IdentityUnknown
        key = rules.require_device(found, request.device)
        rules.require_proof(key, server(), session.id, session.device, request.signature)
        return found

    proven: AccountLog = await call.kernel.storage.read(verify)

    def change(connection: Connection) -> Done[Nothing]:
        # It may have ended, or the device been revoked, while the signature was checked.
        if not accounts.session_lives(connection, session.id):
            raise AuthToken
        kept = tables.kept_log_of(connection, session.user)
        if kept is None or kept.account != proven.account:
            raise DeviceGone(field="$.device")
        current = tables.log_of(connection, kept.account)
        assert current is not None
        rules.require_device(current, request.device)
        tables.prove(connection, session.id, session.device, kept.id, request.device)
        return Done(Nothing())

    return Write(change)
