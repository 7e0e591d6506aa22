"""Where key packages wait for whoever wants to add a device.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine import Connection

from lairchat.storage.schema import metadata
from lairchat.storage.statements import Columns, driver_of
from lairchat.trust.leaf import LeafIdentity

#: account, device_id: whose it is.  init: SHA-256 of its init key.  expires_at: ms.
key_packages = Table(
    "key_packages",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account", LargeBinary(32), ForeignKey("account_logs.account"), nullable=False),
    Column("device_id", LargeBinary(16), nullable=False),
    Column("init", LargeBinary(32), nullable=False),
    Column("last_resort", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("data", LargeBinary, nullable=False),
    UniqueConstraint("account", "device_id", "init", name="uq_key_packages_account_device_id_init"),
    sqlite_autoincrement=True,  # a number never means somebody else later
)


class Waiting(NamedTuple):
    """How many one-time packages of a device wait, and when its last resort runs out (None: none)."""

    one_time: int
    last_resort: int | None


class Package(NamedTuple):
    """A key package that is given out."""

    id: int
    data: bytes
    last_resort: bool


def waiting(connection: Connection, identity: LeafIdentity, now: int) -> Waiting:
    """Count what a device has here that has not run out."""
    row = driver_of(connection).one(
        "SELECT COUNT(*) FILTER (WHERE NOT last_resort),"
        " MAX(expires_at) FILTER (WHERE last_resort) FROM key_packages"
        " WHERE account = ? AND device_id = ? AND expires_at > ?",
        (identity.account, identity.device, now),
    )
    assert row is not None
    return Waiting(*row)


def known(connection: Connection, identity: LeafIdentity) -> set[bytes]:
    """Return the digests of the init keys of what a device has here, also of what has run out."""
    rows = driver_of(connection).all(
        "SELECT init FROM key_packages WHERE account = ? AND device_id = ?",
        (identity.account, identity.device),
    )
    return {init for (init,) in rows}


def keep(
    connection: Connection,
    identity: LeafIdentity,
    packages: Sequence[tuple[bytes, int, bytes]],
    *,
    last_resort: bool,
) -> None:
    """Keep packages of a device; one of last resort replaces the one before.

    packages: the digest of the init key, until when it is good (ms), and the package of each.
    """
    driver = driver_of(connection)
    if last_resort:
        driver.change(
            "DELETE FROM key_packages WHERE account = ? AND device_id = ? AND last_resort",
            (identity.account, identity.device),
        )
    driver.insert(
        _ROW,
        [
            (identity.account, identity.device, init, last_resort, expires, data)
            for init, expires, data in packages
        ],
    )


_ROW = Columns(
    "key_packages", ("account", "device_id", "init", "last_resort", "expires_at", "data")
)


def take(connection: Connection, identity: LeafIdentity, now: int) -> Package | None:
    """Return the oldest package of a device that has not run out, or None.

    It is gone with that; only where there is no other it is the one of last resort, which stays.
    """
    driver = driver_of(connection)
    row = driver.one(
        "SELECT id, data, last_resort FROM key_packages"
        " WHERE account = ? AND device_id = ? AND expires_at > ? ORDER BY last_resort, id LIMIT 1",
        (identity.account, identity.device, now),
    )
    if row is None:
        return None
    package = Package(row[0], row[1], bool(row[2]))
    if not package.last_resort:
        driver.change("DELETE FROM key_packages WHERE id = ?", (package.id,))
    return package


def forget(connection: Connection, identity: LeafIdentity) -> None:
    """Delete all packages of a device."""
    driver_of(connection).change(
        "DELETE FROM key_packages WHERE account = ? AND device_id = ?",
        (identity.account, identity.device),
    )


def sweep(connection: Connection, now: int, limit: int) -> int:
    """Delete some packages that have run out, and return how many."""
    return driver_of(connection).change(
        "DELETE FROM key_packages WHERE id IN"
        " (SELECT id FROM key_packages WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (now, limit),
    )


def available(connection: Connection) -> int:
    """Count the packages of all devices, those of last resort aside."""
    row = driver_of(connection).one("SELECT COUNT(*) FROM key_packages WHERE NOT last_resort")
    assert row is not None
    return int(row[0])
