"""Where account logs are kept, and which sessions have proven to be which certified device.

Every function takes a connection inside a transaction; those that write belong to the writer's.
A log that is read from here was verified when it came in; it is only held against its head again.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from lairchat.model.identity import ServerId
from lairchat.model.ids import DeviceId, SessionId, UserId
from lairchat.model.refusals import DeviceUnproven
from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of
from lairchat.trust.entry import Head, SignedEntry, StoredLog
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.log import AccountLog, encode_log, read_log

#: account: the account id.  head, hash: the last entry's place and hash.  current: the one log that
#: the user goes by; the others are of roots that were lost.  started_at: ms.
account_logs = Table(
    "account_logs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("account", LargeBinary(32), nullable=False, unique=True),
    Column("head", Integer, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("current", Boolean, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # a number never means somebody else later
)

#: data: the signed entry; at position 0 a log of the genesis alone.
account_entries = Table(
    "account_entries",
    metadata,
    Column("log", Integer, ForeignKey("account_logs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

#: One session at a time is a certified device.  A proof is the session's, not the device's that the
#: server knows: whoever has the password can begin another session on that.
proven_devices = Table(
    "proven_devices",
    metadata,
    Column("session", Integer, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("device", Integer, ForeignKey("devices.id"), nullable=False, index=True),
    Column("log", Integer, ForeignKey("account_logs.id"), nullable=False),
    Column("device_id", LargeBinary(16), nullable=False),
    UniqueConstraint("log", "device_id", name="uq_proven_devices_log_device_id"),
)


class Logs:
    """Verified logs by the hash of their head, which pins every byte of them.

    bound: how many entries they may have together; those that were used longest ago go first.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lock = Lock()  # readers have threads of their own
        self._logs: dict[bytes, AccountLog] = {}
        self.entries = 0
        """How many entries the kept logs have together."""

    def get(self, head: bytes) -> AccountLog | None:
        """Return the log that ends with the entry of this hash, if it is kept."""
        with self._lock:
            log = self._logs.pop(head, None)
            if log is not None:
                self._logs[head] = log
            return log

    def keep(self, log: AccountLog) -> None:
        """Keep a log that has been verified."""
        with self._lock:
            if log.head.hash in self._logs:
                return
            self._logs[log.head.hash] = log
            self.entries += len(log.hashes)
            while self.entries > self._bound:
                oldest = self._logs.pop(next(iter(self._logs)))
                self.entries -= len(oldest.hashes)


verified = Logs(65_536)
"""count: entries in memory, some 300 bytes each."""


class KeptLog(NamedTuple):
    """A log as its row has it."""

    id: int
    user: UserId
    account: bytes
    head: Head
    current: bool


_LOG = "SELECT id, user, account, head, hash, current FROM account_logs WHERE "


def _kept(row: tuple[Any, ...] | None) -> KeptLog | None:
    if row is None:
        return None
    number, user, account, head, digest, current = row
    return KeptLog(number, UserId(user), account, Head(head, digest), bool(current))


def kept_log(connection: Connection, account: bytes) -> KeptLog | None:
    """Return the row of an account's log, or None if no such account has come here."""
    return _kept(driver_of(connection).one(f"{_LOG} account = ?", (account,)))


def kept_log_of(connection: Connection, user: UserId) -> KeptLog | None:
    """Return the row of the log that a user goes by, or None."""
    return _kept(driver_of(connection).one(f"{_LOG} user = ? AND current", (user,)))


def started(connection: Connection, user: UserId) -> list[int]:
    """Return when each of a user's logs was begun, ms, the newest last."""
    query = select(account_logs.c.started_at).where(account_logs.c.user == user)
    return list(connection.execute(query.order_by(account_logs.c.id)).scalars())


def entries_from(connection: Connection, log: int, start: int, limit: int) -> list[bytes]:
    """Return entries of a log as they were signed, from a place on."""
    rows = driver_of(connection).all(
        "SELECT data FROM account_entries WHERE log = ? AND position >= ?"
        " ORDER BY position LIMIT ?",
        (log, start, limit),
    )
    return [data for (data,) in rows]


def log_of(connection: Connection, account: bytes) -> AccountLog | None:
    """Return the log of an account, verified, or None if no such account has come here."""
    kept = kept_log(connection, account)
    return None if kept is None else _read(connection, kept)


def current_log(connection: Connection, user: UserId) -> AccountLog | None:
    """Return the log that a user goes by, verified, or None."""
    kept = kept_log_of(connection, user)
    return None if kept is None else _read(connection, kept)


def _read(connection: Connection, kept: KeptLog) -> AccountLog:
    log = verified.get(kept.head.hash)
    if log is not None:
        return log
    data = entries_from(connection, kept.id, 0, kept.head.position + 1)
    genesis = StoredLog.decode(data[0]).genesis
    entries = [SignedEntry.decode(entry) for entry in data[1:]]
    server = ServerId(genesis.content.server)
    log = read_log(encode_log(genesis, entries), server, kept.head)
    verified.keep(log)
    return log


def user_of(connection: Connection, account: bytes) -> UserId | None:
    """Return whose account this is, by its current log or an older one, or None."""
    kept = kept_log(connection, account)
    return None if kept is None else kept.user


def accounts_of(connection: Connection, user: UserId) -> list[bytes]:
    """Return the account ids of all logs that a user has or had, the oldest first."""
    rows = driver_of(connection).all(
        "SELECT account FROM account_logs WHERE user = ? ORDER BY id", (user,)
    )
    return [account for (account,) in rows]


def devices_in_force(connection: Connection, user: UserId) -> list[bytes]:
    """Return the ids of a user's certified devices; none without a log."""
    log = current_log(connection, user)
    return [] if log is None else [device.body.id for device in log.in_force]


# -- changing


def begin(
    connection: Connection, user: UserId, log: AccountLog, data: Sequence[bytes], now: int
) -> None:
    """Keep a log, and let its user go by it from now on; the caller has verified it.

    data: its genesis and entries.  Sessions that were devices of an older log are it no more.
    """
    old = account_logs.c.user == user
    logs = select(account_logs.c.id).where(old)
    connection.execute(delete(proven_devices).where(proven_devices.c.log.in_(logs)))
    connection.execute(update(account_logs).where(old).values(current=False))
    made = connection.execute(
        insert(account_logs).values(
            user=user,
            account=log.account,
            head=log.head.position,
            hash=log.head.hash,
            current=True,
            started_at=now,
        )
    )
    assert made.inserted_primary_key is not None
    _add(connection, made.inserted_primary_key[0], 0, data)


def grow(connection: Connection, kept: KeptLog, log: AccountLog, data: Sequence[bytes]) -> None:
    """Append entries to a log; the caller has verified what it comes to, and looked at its head."""
    _add(connection, kept.id, kept.head.position + 1, data)
    head = {"head": log.head.position, "hash": log.head.hash}
    connection.execute(update(account_logs).where(account_logs.c.id == kept.id).values(head))


def _add(connection: Connection, log: int, start: int, data: Sequence[bytes]) -> None:
    rows = [
        {"log": log, "position": position, "data": entry}
        for position, entry in enumerate(data, start)
    ]
    connection.execute(insert(account_entries), rows)


# -- which session is which device


def proven(connection: Connection, session: SessionId) -> LeafIdentity | None:
    """Return the certified device that a session has proven to be, or None."""
    row = driver_of(connection).one(
        "SELECT account_logs.account, proven_devices.device_id FROM proven_devices"
        " JOIN account_logs ON account_logs.id = proven_devices.log"
        " WHERE proven_devices.session = ?",
        (session,),
    )
    return None if row is None else LeafIdentity(*row)


def require_proven(connection: Connection, session: SessionId) -> LeafIdentity:
    """Return the certified device that a session has proven to be; raises DeviceUnproven."""
    identity = proven(connection, session)
    if identity is None:
        raise DeviceUnproven
    return identity


def server_devices(connection: Connection, identity: LeafIdentity) -> list[DeviceId]:
    """Return the devices, by the server's numbers, that have proven to be a certified one."""
    rows = driver_of(connection).all(
        "SELECT proven_devices.device FROM proven_devices"
        " JOIN account_logs ON account_logs.id = proven_devices.log"
        " WHERE account_logs.account = ? AND proven_devices.device_id = ?",
        (identity.account, identity.device),
    )
    return [DeviceId(device) for (device,) in rows]


def prove(
    connection: Connection, session: SessionId, device: DeviceId, log: int, device_id: bytes
) -> None:
    """Note which certified device a session is; another session that was it is it no more."""
    table = proven_devices.c
    taken = (table.session == session) | ((table.log == log) & (table.device_id == device_id))
    connection.execute(delete(proven_devices).where(taken))
    connection.execute(
        insert(proven_devices).values(session=session, device=device, log=log, device_id=device_id)
    )


def sessions_proven(connection: Connection, log: int, devices: Sequence[bytes]) -> list[SessionId]:
    """Return the sessions that have proven to be one of these devices of a log."""
    rows = driver_of(connection).among(
        "SELECT session FROM proven_devices WHERE log = ? AND device_id IN ?", devices, (log,)
    )
    return [SessionId(session) for (session,) in rows]
