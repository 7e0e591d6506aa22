"""Where sealed objects are kept, by account and name.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table
from sqlalchemy.engine import Connection

from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of

#: account: the account id, so that whoever begins anew does not see what they cannot open.
#: digest: SHA-256 of data.  size: its bytes.  at: since when it is as it is, ms.
keepsakes = Table(
    "keepsakes",
    metadata,
    Column("account", LargeBinary(32), ForeignKey("account_logs.account"), primary_key=True),
    Column("name", LargeBinary(16), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("size", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    # What an account uses is added up from the index alone.
    Index("ix_keepsakes_account_size", "account", "size"),
)


class Used(NamedTuple):
    """What an account has here: so many objects of so many bytes together."""

    objects: int
    size: int


class Stored(NamedTuple):
    """An object without its bytes."""

    name: bytes
    digest: bytes
    size: int
    at: int


def find(connection: Connection, account: bytes, name: bytes) -> Stored | None:
    """Return an object, or None."""
    row = driver_of(connection).one(
        "SELECT name, digest, size, at FROM keepsakes WHERE account = ? AND name = ?",
        (account, name),
    )
    return None if row is None else Stored(*row)


def used(connection: Connection, account: bytes) -> Used:
    """Count what an account has here."""
    row = driver_of(connection).one(
        "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM keepsakes WHERE account = ?", (account,)
    )
    assert row is not None
    return Used(int(row[0]), int(row[1]))


def keep(connection: Connection, account: bytes, stored: Stored, data: bytes) -> None:
    """Keep an object in place of the one of its name."""
    driver = driver_of(connection)
    values = (stored.digest, stored.size, stored.at, data, account, stored.name)
    if not driver.change(
        "UPDATE keepsakes SET digest = ?, size = ?, at = ?, data = ?"
        " WHERE account = ? AND name = ?",
        values,
    ):
        driver.change(
            "INSERT INTO keepsakes (digest, size, at, data, account, name)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )


def read(connection: Connection, account: bytes, name: bytes, offset: int, length: int) -> bytes:
    """Return a part of an object that is there."""
    row = driver_of(connection).one(
        "SELECT SUBSTR(data, ?, ?) FROM keepsakes WHERE account = ? AND name = ?",
        (offset + 1, length, account, name),
    )
    assert row is not None
    return bytes(row[0])


def listed(connection: Connection, account: bytes, after: bytes, limit: int) -> list[Stored]:
    """Return up to so many objects of an account behind a name."""
    rows = driver_of(connection).all(
        "SELECT name, digest, size, at FROM keepsakes WHERE account = ? AND name > ?"
        " ORDER BY name LIMIT ?",
        (account, after, limit),
    )
    return [Stored(*row) for row in rows]


def drop(connection: Connection, account: bytes, names: Sequence[bytes]) -> None:
    """Delete objects of an account."""
    for name in names:
        driver_of(connection).change(
            "DELETE FROM keepsakes WHERE account = ? AND name = ?", (account, name)
        )


def forgotten(connection: Connection, limit: int) -> list[tuple[bytes, bytes]]:
    """Return some objects of identities that have been replaced: their words are lost."""
    rows = driver_of(connection).all(
        "SELECT keepsakes.account, name FROM keepsakes"
        " JOIN account_logs ON account_logs.account = keepsakes.account"
        " WHERE NOT account_logs.current LIMIT ?",
        (limit,),
    )
    return [(account, name) for account, name in rows]
