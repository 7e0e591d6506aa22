"""Where bans are kept.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    Select,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Connection

from lairchat.model.ids import RoomId, UserId
from lairchat.storage.schema import metadata
from lairchat.storage.statements import driver_of

bans = Table(
    "bans",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column("banned_by", Integer, ForeignKey("users.id"), nullable=False),
    Column("banned_at", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
)


class Ban(NamedTuple):
    """Who has banned somebody, when and why."""

    by: UserId
    at: int
    reason: str


def is_banned(connection: Connection, room: RoomId, user: UserId) -> bool:
    """Say whether a user is kept out of a room."""
    row = driver_of(connection).one(
        "SELECT 1 FROM bans WHERE bans.room = ? AND bans.user = ?", (room, user)
    )
    return row is not None


def count_bans(connection: Connection, room: RoomId) -> int:
    """Count who is kept out of a room."""
    query = select(func.count()).select_from(bans).where(bans.c.room == room)
    return int(connection.execute(query).scalar_one())


def banned_from(room: RoomId) -> Select[tuple[int]]:
    """Select the users who are kept out of a room, for the accounts feature to page by name."""
    return select(bans.c.user).where(bans.c.room == room)


def bans_on(connection: Connection, room: RoomId, users: Collection[UserId]) -> dict[UserId, Ban]:
    """Return the bans of these users from a room."""
    query = select(bans.c.user, bans.c.banned_by, bans.c.banned_at, bans.c.reason)
    rows = connection.execute(query.where(bans.c.room == room, bans.c.user.in_(users)))
    return {row[0]: Ban(*row[1:]) for row in rows}


def keep_ban(connection: Connection, room: RoomId, user: UserId, ban: Ban) -> None:
    """Keep a user out of a room; the caller knows that there is no ban yet."""
    connection.execute(
        insert(bans).values(
            room=room, user=user, banned_by=ban.by, banned_at=ban.at, reason=ban.reason
        )
    )


def lift_ban(connection: Connection, room: RoomId, user: UserId) -> bool:
    """Let a user back in; say whether there was a ban."""
    gone = connection.execute(delete(bans).where(bans.c.room == room, bans.c.user == user))
    return bool(gone.rowcount)
