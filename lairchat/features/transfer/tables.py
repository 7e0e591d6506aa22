"""Where blobs are kept, chunk by chunk.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import UserId
from lairchat.storage.schema import metadata

blobs = Table(
    "blobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("owner", Integer, ForeignKey("users.id"), nullable=False, index=True),
    Column("blob", LargeBinary(16), nullable=False),
    Column("total", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("owner", "blob", name="uq_blobs_owner_blob"),
    sqlite_autoincrement=True,  # a number never means somebody else later
)

blob_chunks = Table(
    "blob_chunks",
    metadata,
    Column("blob", Integer, ForeignKey("blobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as it stands: ``received`` of ``total`` bytes are stored; ``id`` is its row."""

    id: int
    total: int
    received: int
    digest: bytes
    complete: bool


_BLOB = (blobs.c.id, blobs.c.total, blobs.c.received, blobs.c.digest, blobs.c.complete)


def find(connection: Connection, owner: UserId, blob: bytes) -> Blob | None:
    """Return the blob that this owner calls by these 16 bytes, or None."""
    query = select(*_BLOB).where(blobs.c.owner == owner, blobs.c.blob == blob)
    row = connection.execute(query).first()
    return None if row is None else Blob(*row)


def used(connection: Connection, owner: UserId) -> int:
    """Return how many bytes this owner's blobs take, those under way at their full size."""
    query = select(func.coalesce(func.sum(blobs.c.total), 0)).where(blobs.c.owner == owner)
    return int(connection.execute(query).scalar_one())


def unfinished(connection: Connection, owner: UserId) -> list[tuple[int, int]]:
    """Return row and total size of each blob of this owner that is under way, oldest first."""
    query = select(blobs.c.id, blobs.c.total)
    pending = query.where(blobs.c.owner == owner, blobs.c.complete.is_(False))
    rows = connection.execute(pending.order_by(blobs.c.created_at, blobs.c.id))
    return [(row[0], row[1]) for row in rows]


def stale(connection: Connection, before: int, limit: int) -> list[int]:
    """Return rows of blobs that were announced before a time (ms) and are still under way."""
    query = select(blobs.c.id).where(blobs.c.complete.is_(False), blobs.c.created_at < before)
    return list(connection.execute(query.order_by(blobs.c.created_at).limit(limit)).scalars())


def announce(
    connection: Connection, owner: UserId, blob: bytes, *, total: int, digest: bytes, now: int
) -> None:
    """Add a blob of which nothing has arrived; the caller has looked that it is new."""
    connection.execute(
        insert(blobs).values(
            owner=owner,
            blob=blob,
            total=total,
            received=0,
            digest=digest,
            complete=False,
            created_at=now,
        )
    )


def append(connection: Connection, blob: Blob, data: bytes, *, complete: bool, most: int) -> None:
    """Store the next bytes of a blob.

    They join the last stored chunk while that stays within ``most`` bytes: whoever sends single
    bytes does not make a row of each.
    """
    last = _last(connection, blob.id) if len(data) < most else None
    if last is not None and len(last[1]) + len(data) <= most:
        position, stored = last
        here = (blob_chunks.c.blob == blob.id, blob_chunks.c.position == position)
        connection.execute(update(blob_chunks).where(*here).values(data=stored + data))
    else:
        connection.execute(
            insert(blob_chunks).values(blob=blob.id, position=blob.received, data=data)
        )
    _stands(connection, blob.id, blob.received + len(data), complete=complete)


def _last(connection: Connection, blob: int) -> tuple[int, bytes] | None:
    query = select(blob_chunks.c.position, blob_chunks.c.data).where(blob_chunks.c.blob == blob)
    row: Any = connection.execute(query.order_by(blob_chunks.c.position.desc()).limit(1)).first()
    return None if row is None else (row[0], row[1])


def _stands(connection: Connection, blob: int, received: int, *, complete: bool) -> None:
    values = {"received": received, "complete": complete}
    connection.execute(update(blobs).where(blobs.c.id == blob).values(values))


def empty(connection: Connection, blob: int) -> None:
    """Throw away what has arrived of a blob; it stands at its start again."""
    connection.execute(delete(blob_chunks).where(blob_chunks.c.blob == blob))
    _stands(connection, blob, 0, complete=False)


def drop(connection: Connection, blob: int) -> None:
    """Delete a blob."""
    connection.execute(delete(blob_chunks).where(blob_chunks.c.blob == blob))
    connection.execute(delete(blobs).where(blobs.c.id == blob))


def chunks(connection: Connection, blob: Blob) -> Iterator[bytes]:
    """Yield what is stored of a blob, one chunk in memory at a time."""
    position = 0
    while position < blob.received:
        here = (blob_chunks.c.blob == blob.id, blob_chunks.c.position == position)
        data: bytes = connection.execute(select(blob_chunks.c.data).where(*here)).scalar_one()
        yield data
        position += len(data)


def read(connection: Connection, blob: Blob, offset: int, length: int, *, most: int) -> bytes:
    """Return up to ``length`` bytes of a blob from ``offset``; chunks have ``most`` bytes at most."""
    query = select(blob_chunks.c.position, blob_chunks.c.data).where(
        blob_chunks.c.blob == blob.id,
        blob_chunks.c.position > offset - most,
        blob_chunks.c.position < offset + length,
    )
    pieces = [
        data[max(0, offset - position) : offset + length - position]
        for position, data in connection.execute(query.order_by(blob_chunks.c.position))
    ]
    return b"".join(pieces)
