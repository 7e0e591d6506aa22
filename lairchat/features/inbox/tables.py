"""Where each certified device's own log is kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
Sequence numbers are dense and never given again, so that a device sees what it has missed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table
from sqlalchemy.engine import Connection

from lairchat.model import limits
from lairchat.model.ids import DeviceId
from lairchat.model.refusals import InboxFull
from lairchat.storage.schema import metadata
from lairchat.storage.statements import Columns, Driver, driver_of
from lairchat.trust.leaf import LeafIdentity

#: head: the last number given.  dropped: how many entries had to make room for others.
inboxes = Table(
    "inboxes",
    metadata,
    Column("account", LargeBinary(32), ForeignKey("account_logs.account"), primary_key=True),
    Column("device_id", LargeBinary(16), primary_key=True),
    Column("head", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
)

#: kind: welcome, admit, link or verify.  sender: whose device has sent it, a leaf's identity; null for one
#: that is not certified (yet).  sender_device: the server's number of that, 0 for the server.
inbox_entries = Table(
    "inbox_entries",
    metadata,
    Column("account", LargeBinary(32), ForeignKey("account_logs.account"), primary_key=True),
    Column("device_id", LargeBinary(16), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("sender", LargeBinary(48), nullable=True),
    Column("sender_device", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)


class Inbox(NamedTuple):
    """How far an inbox goes, and how much of it went before it was acknowledged."""

    head: int
    dropped: int


class Kept(NamedTuple):
    """An entry as it is kept; sender: a leaf's identity."""

    seq: int
    kind: str
    at: int
    sender: LeafIdentity | None
    device: DeviceId
    body: bytes


NOBODY = DeviceId(0)
WELCOME = "welcome"
ADMIT = "admit"
"""The proof that belongs to a welcome; neither is lost to make room."""


def _place(identity: LeafIdentity) -> tuple[bytes, bytes]:
    return identity.account, identity.device


def inbox(connection: Connection, identity: LeafIdentity) -> Inbox:
    """Return how a device's inbox stands; it need not have one yet."""
    row = driver_of(connection).one(
        "SELECT head, dropped FROM inboxes WHERE account = ? AND device_id = ?", _place(identity)
    )
    return Inbox(0, 0) if row is None else Inbox(*row)


def entries(
    connection: Connection, identity: LeafIdentity, after: int, limit: int
) -> Iterator[Kept]:
    """Yield the entries of an inbox after one of them, one body in memory at a time."""
    driver = driver_of(connection)
    for _ in range(limit):
        row = driver.one(
            "SELECT seq, kind, at, sender, sender_device, body FROM inbox_entries"
            " WHERE account = ? AND device_id = ? AND seq > ? ORDER BY seq LIMIT 1",
            (*_place(identity), after),
        )
        if row is None:
            return
        after, kind, at, sender, number, body = row
        by = None if sender is None else LeafIdentity.decode(sender)
        yield Kept(after, kind, at, by, DeviceId(number), body)


def deliver(
    connection: Connection,
    identity: LeafIdentity,
    kind: str,
    sender: LeafIdentity | None,
    body: bytes,
    now: int,
    *,
    sender_device: DeviceId = NOBODY,
) -> int:
    """Append an entry to a device's inbox, and return its number; now: ms.

    The caller has looked that the device is one of its account's, and tells it afterwards.
    Notes beyond a bound take the place of the oldest one.  A welcome that gets lost, or its proof,
    would leave its device in a room that it cannot read: raises InboxFull instead, before anything is
    written.
    Raises ValueError for a body that no answer could bring.
    """
    if len(body) > limits.INBOX_BODY_BYTES:
        raise ValueError(f"an entry of an inbox has at most {limits.INBOX_BODY_BYTES} bytes")
    driver, place = driver_of(connection), _place(identity)
    before = inbox(connection, identity)
    dropped = before.dropped
    if kind in {WELCOME, ADMIT}:
        _require_room(driver, place, [len(body)])
    else:
        dropped += _make_room(driver, place)
    seq = before.head + 1
    driver.change(
        "INSERT INTO inboxes (account, device_id, head, dropped) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account, device_id) DO UPDATE SET head = excluded.head, dropped = excluded.dropped",
        (*place, seq, dropped),
    )
    encoded = None if sender is None else sender.encode()
    driver.insert(_ROW, [(*place, seq, kind, now, encoded, sender_device, body)])
    return seq


def require_room(connection: Connection, identity: LeafIdentity, *sizes: int) -> None:
    """Raise InboxFull unless a device's inbox has room for a welcome, and its proof, of so many bytes.

    For whoever delivers several, none of which may be written if one of them cannot be.
    """
    _require_room(driver_of(connection), _place(identity), sizes)


_ROW = Columns(
    "inbox_entries",
    ("account", "device_id", "seq", "kind", "at", "sender", "sender_device", "body"),
)


def _require_room(driver: Driver, place: tuple[bytes, bytes], sizes: Sequence[int]) -> None:
    row = driver.one(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM inbox_entries"
        " WHERE account = ? AND device_id = ? AND kind IN ('welcome', 'admit')",
        place,
    )
    assert row is not None
    count, size_of_all = row
    if (
        count + len(sizes) > limits.INBOX_WELCOMES
        or size_of_all + sum(sizes) > limits.INBOX_WELCOMES_BYTES
    ):
        raise InboxFull


def _make_room(driver: Driver, place: tuple[bytes, bytes]) -> int:
    """Delete the oldest notes so that one more fits, and return how many."""
    return driver.change(
        "DELETE FROM inbox_entries WHERE account = ? AND device_id = ? AND seq IN"
        " (SELECT seq FROM inbox_entries WHERE account = ? AND device_id = ? AND kind NOT IN ('welcome', 'admit')"
        " ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        (*place, *place, limits.INBOX_NOTES - 1),
    )


def acknowledge(connection: Connection, identity: LeafIdentity, upto: int) -> None:
    """Delete the entries of an inbox up to and with one of them."""
    driver_of(connection).change(
        "DELETE FROM inbox_entries WHERE account = ? AND device_id = ? AND seq <= ?",
        (*_place(identity), upto),
    )


def forget(connection: Connection, identity: LeafIdentity) -> None:
    """Delete what waits in an inbox; its numbers are not given again."""
    acknowledge(connection, identity, inbox(connection, identity).head)


def sweep(connection: Connection, before: int, limit: int) -> int:
    """Delete some entries that came before a time (ms), counted as dropped; return how many."""
    driver = driver_of(connection)
    old = driver.all(
        "SELECT account, device_id, seq FROM inbox_entries WHERE at < ? ORDER BY at LIMIT ?",
        (before, limit),
    )
    for account, device, seq in old:
        driver.change(
            "DELETE FROM inbox_entries WHERE account = ? AND device_id = ? AND seq = ?",
            (account, device, seq),
        )
        driver.change(
            "UPDATE inboxes SET dropped = dropped + 1 WHERE account = ? AND device_id = ?",
            (account, device),
        )
    return len(old)
