"""Where is kept whose invitations somebody does not want to hear of.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, delete, insert, select
from sqlalchemy.engine import Connection

from lairchat.model.ids import UserId
from lairchat.storage.schema import metadata

#: user: who does not want to hear.  other: of whom.
mutes = Table(
    "mutes",
    metadata,
    Column("user", Integer, ForeignKey("users.id"), primary_key=True),
    Column("other", Integer, ForeignKey("users.id"), primary_key=True),
    Column("muted_at", BigInteger, nullable=False),
)


def muted_by(connection: Connection, user: UserId) -> set[UserId]:
    """Return of whom a user does not want to hear."""
    rows = connection.execute(select(mutes.c.other).where(mutes.c.user == user))
    return {UserId(other) for (other,) in rows}


def mute(connection: Connection, user: UserId, other: UserId, now: int) -> None:
    """Keep that a user does not want to hear of another; the caller knows that it is new."""
    connection.execute(insert(mutes).values(user=user, other=other, muted_at=now))


def unmute(connection: Connection, user: UserId, other: UserId) -> None:
    """Forget that a user does not want to hear of another, if it was so."""
    connection.execute(delete(mutes).where(mutes.c.user == user, mutes.c.other == other))
