"""Where reading places are kept: one row a device, and nothing beside it, not even since when.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Iterator

from sqlalchemy import Column, ForeignKey, LargeBinary, Table
from sqlalchemy.engine import Connection

from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of

#: account: the account id, so that whoever begins anew does not see what they cannot open.
#: device_id: in the account's log.  data: sealed by that device for the others.
reading_slots = Table(
    "reading_slots",
    metadata,
    Column("account", LargeBinary(32), ForeignKey("account_logs.account"), primary_key=True),
    Column("device_id", LargeBinary(16), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)


def keep(connection: Connection, account: bytes, device: bytes, data: bytes) -> None:
    """Keep a device's slot in place of what was there."""
    driver_of(connection).change(
        "INSERT INTO reading_slots (account, device_id, data) VALUES (?, ?, ?)"
        " ON CONFLICT (account, device_id) DO UPDATE SET data = excluded.data",
        (account, device, data),
    )


def listed(connection: Connection, account: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (device, data) of an account's slots behind a device: as many as it has devices at most."""
    yield from driver_of(connection).all(
        "SELECT device_id, data FROM reading_slots WHERE account = ? AND device_id > ?"
        " ORDER BY device_id",
        (account, after),
    )


def drop(connection: Connection, account: bytes, device: bytes) -> None:
    """Delete a device's slot."""
    driver_of(connection).change(
        "DELETE FROM reading_slots WHERE account = ? AND device_id = ?", (account, device)
    )


def drop_forgotten(connection: Connection) -> None:
    """Delete the slots of identities that have been replaced: few, and nobody can open them."""
    driver_of(connection).change(
        "DELETE FROM reading_slots WHERE account IN"
        " (SELECT account FROM account_logs WHERE NOT current)",
        (),
    )
