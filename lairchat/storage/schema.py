"""Declares the tables of the durable log, and the metadata on which features declare theirs.

The database itself is made by the migrations, whose DDL is literal; tests/storage/test_schema.py
compares the two. Types are portable to PostgreSQL and MariaDB.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table
from sqlalchemy.dialects.mysql import VARBINARY
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)
"""All tables of the server. Foreign keys are never deferred: a group's commit cannot blame one unit."""


def number() -> TypeEngine[int]:
    """Return the type of ids, counts and times in ms: 64 bits, and SQLite's rowid where it is a key."""
    return BigInteger().with_variant(Integer(), "sqlite")


def octets(length: int) -> TypeEngine[bytes]:
    """Return the type of at most ``length`` bytes that may be part of a key."""
    return LargeBinary(length).with_variant(VARBINARY(length), "mysql", "mariadb")


HASH_BYTES = 32
"""bytes: SHA-256."""

log_heads = Table(
    "log_heads",
    metadata,
    Column("room", number(), primary_key=True, autoincrement=False),
    Column("seq", number(), nullable=False),
    Column("hash", octets(HASH_BYTES), nullable=False),
    Column("messages", number(), nullable=False),
    sqlite_strict=True,
)
"""One row per room: its last event, the chain's hash there, and how many events count as unread."""

# Measured with benchmarks/storage_log.py, 100 rooms of 1,500 events: with a rowid and an index on
# (room, seq) a group of 100 dirties 129 pages; clustered by (room, seq), 253.
log_events = Table(
    "log_events",
    metadata,
    Column("room", number(), primary_key=True, autoincrement=False),
    Column("seq", number(), primary_key=True, autoincrement=False),
    Column("at", number(), nullable=False),
    Column("sender", number(), nullable=False),
    Column("device", number(), nullable=False),
    Column("kind", number(), nullable=False),
    Column("messages", number(), nullable=False),
    Column("id", LargeBinary, nullable=False),
    Column("hash", octets(HASH_BYTES), nullable=False),
    Column("body", LargeBinary),
    Column("digest", octets(HASH_BYTES)),
    sqlite_strict=True,
)
"""The log. ``messages`` counts up to and with this event; a purged one has ``digest``, no ``body``."""

# The command id comes first in the key although lookups know both: it starts with the time, so
# that new rows go to one end of the tree and old ones are swept from the other. By device, 500
# devices dirty 500 pages per group.
log_answers = Table(
    "log_answers",
    metadata,
    Column("command", octets(16), primary_key=True),
    Column("device", number(), primary_key=True, autoincrement=False),
    Column("room", number(), nullable=False),
    Column("seq", number(), nullable=False),
    Column("at", number(), nullable=False),
    Column("body", LargeBinary),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""First answers of idempotent commands; room and seq are 0 when the command made no event."""

log_cursors = Table(
    "log_cursors",
    metadata,
    Column("reader", number(), primary_key=True, autoincrement=False),
    Column("room", number(), primary_key=True, autoincrement=False),
    Column("device", number(), primary_key=True, autoincrement=False),
    Column("seq", number(), nullable=False),
    Column("messages", number(), nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How far each device of a user has read; device 0 keeps what devices that are gone had read."""
