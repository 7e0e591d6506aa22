"""Where reports are kept, until some time after an operator has resolved them.

Every function takes a connection inside a transaction; those that write belong to the writer's.
They outlive the room: whoever reports what was said there may have left it, and it may be deleted.

Promises not to know: what the bytes mean.
"""

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import RoomId, UserId
from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of

#: reporter: who reports, author: whom.  digest: by which a repeat is known.
#: content: a message as its author signed it, device: by whose key; both null for a change, of which
#: seq is the place in the room's log, and why what the reporter's device says is wrong with it.
#: resolved_by: null for the host's operator.
reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("room", Integer, ForeignKey("rooms.id"), nullable=False),
    Column("reporter", Integer, ForeignKey("users.id"), nullable=False),
    Column("author", Integer, ForeignKey("users.id"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("content", LargeBinary, nullable=True),
    Column("device", LargeBinary(16), nullable=True),
    Column("seq", BigInteger, nullable=True),
    Column("why", String(200), nullable=True),
    Column("reason", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger, nullable=True, index=True),
    Column("resolved_by", Integer, ForeignKey("users.id"), nullable=True),
    UniqueConstraint("reporter", "digest", name="uq_reports_reporter_digest"),
    sqlite_autoincrement=True,  # a number never means another report later
)


class New(NamedTuple):
    """A report as it comes: of a message, or of a change."""

    room: RoomId
    reporter: UserId
    author: UserId
    epoch: int
    digest: bytes
    reason: str
    at: int
    content: bytes | None = None
    device: bytes | None = None
    seq: int | None = None
    why: str | None = None


class Report(NamedTuple):
    """A report as its row has it."""

    id: int
    room: RoomId
    reporter: UserId
    author: UserId
    epoch: int
    content: bytes | None
    device: bytes | None
    seq: int | None
    why: str | None
    reason: str
    at: int
    resolved_at: int | None
    resolved_by: UserId | None


_REPORT = f"SELECT {', '.join(Report._fields)} FROM reports WHERE "  # noqa: S608 - constants only


# -- looking


def find(connection: Connection, number: int) -> Report | None:
    """Return a report, or None."""
    row = driver_of(connection).one(f"{_REPORT}id = ?", (number,))
    return None if row is None else Report._make(row)


def same(connection: Connection, reporter: UserId, digest: bytes) -> int | None:
    """Return the number of somebody's report of the same, or None."""
    row = driver_of(connection).one(
        "SELECT id FROM reports WHERE reporter = ? AND digest = ?", (reporter, digest)
    )
    return None if row is None else int(row[0])


def waiting(connection: Connection, reporter: UserId) -> tuple[int, int]:
    """Return how many reports nobody has resolved, and how many of those somebody has made."""
    row = driver_of(connection).one(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN reporter = ? THEN 1 ELSE 0 END), 0) FROM reports WHERE resolved_at IS NULL",
        (reporter,),
    )
    assert row is not None
    return int(row[0]), int(row[1])


def listed(connection: Connection, after: int, limit: int, *, resolved: bool) -> list[Report]:
    """Return up to so many reports behind a number, by number; resolved: those that are as well."""
    which = "" if resolved else " AND resolved_at IS NULL"
    rows = driver_of(connection).all(f"{_REPORT}id > ?{which} ORDER BY id LIMIT ?", (after, limit))
    return [Report._make(row) for row in rows]


# -- changing


def keep(connection: Connection, new: New) -> int:
    """Keep a report; return its number."""
    marks = ", ".join("?" for _ in new)
    driver_of(connection).change(
        f"INSERT INTO reports ({', '.join(New._fields)}) VALUES ({marks})",  # noqa: S608
        new,
    )
    number = same(connection, new.reporter, new.digest)
    assert number is not None
    return number


def resolve(connection: Connection, number: int, at: int | None, by: UserId | None) -> None:
    """Note when a report was resolved and by whom; at None: it waits again."""
    driver_of(connection).change(
        "UPDATE reports SET resolved_at = ?, resolved_by = ? WHERE id = ?", (at, by, number)
    )


def forget(connection: Connection, before: int, limit: int) -> bool:
    """Delete some reports that were resolved before a time, ms; say whether more may be left."""
    rows = driver_of(connection).all(
        "SELECT id FROM reports WHERE resolved_at < ? LIMIT ?", (before, limit)
    )
    for row in rows:
        driver_of(connection).change("DELETE FROM reports WHERE id = ?", row)
    return len(rows) == limit
