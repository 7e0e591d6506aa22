"""Where codes of encrypted rooms are kept, and who knocks with them.

Every function takes a connection inside a transaction; those that write belong to the writer's.

Promises not to know: what proofs and packages mean.
"""

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Table
from sqlalchemy.engine import Connection

from lairchat.model.ids import RoomId, UserId
from lairchat.storage.schema import metadata
from lairchat.storage.statements import Columns, driver_of

#: uses: by how many people it is used altogether.  used: how many of them are in.  until: ms.
group_codes = Table(
    "group_codes",
    metadata,
    Column("locator", LargeBinary(8), primary_key=True),
    Column("room", Integer, ForeignKey("rooms.id"), nullable=False, index=True),
    Column("offered_by", Integer, ForeignKey("users.id"), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
)

#: Who waits to be let in, once at each room, whichever of its codes they have.
group_knocks = Table(
    "group_knocks",
    metadata,
    Column("room", Integer, ForeignKey("rooms.id"), primary_key=True),
    Column("user", Integer, ForeignKey("users.id"), primary_key=True, index=True),
    Column(
        "locator",
        LargeBinary(8),
        ForeignKey("group_codes.locator"),
        nullable=False,
        index=True,
    ),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("packages", LargeBinary, nullable=False),
)


class Code(NamedTuple):
    """A code as its row has it."""

    locator: bytes
    room: RoomId
    by: UserId
    uses: int
    used: int
    until: int


class Knock(NamedTuple):
    """Somebody who waits to be let in; by: whose code it is."""

    user: UserId
    locator: bytes
    by: UserId
    at: int
    body: bytes
    packages: bytes


_CODE = "SELECT locator, room, offered_by, uses, used, until FROM group_codes WHERE "
_KNOCK = (
    "SELECT group_knocks.user, group_knocks.locator, group_codes.offered_by, group_knocks.at,"
    " group_knocks.body, group_knocks.packages FROM group_knocks"
    " JOIN group_codes ON group_codes.locator = group_knocks.locator"
    " WHERE group_knocks.room = ? AND group_codes.until > ?"
)
_KNOCKS = Columns("group_knocks", ("room", "user", "locator", "at", "body", "packages"))


# -- codes


def code(connection: Connection, locator: bytes) -> Code | None:
    """Return a code, also one that has ended and has not been swept."""
    row = driver_of(connection).one(f"{_CODE} locator = ?", (locator,))
    return None if row is None else Code(*row)


def count_codes(connection: Connection, room: RoomId, now: int) -> int:
    """Count the codes of a room that have not ended."""
    row = driver_of(connection).one(
        "SELECT COUNT(*) FROM group_codes WHERE room = ? AND until > ?", (room, now)
    )
    assert row is not None
    return int(row[0])


def keep_code(connection: Connection, kept: Code) -> None:
    """Keep a code, in the place of the one with its locator."""
    driver_of(connection).change(
        "INSERT INTO group_codes (locator, room, offered_by, uses, used, until)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (locator) DO UPDATE SET room = excluded.room,"
        " offered_by = excluded.offered_by, uses = excluded.uses, used = excluded.used,"
        " until = excluded.until",
        kept,
    )


def end_code(connection: Connection, locator: bytes) -> bool:
    """Drop a code with those who wait under it; say whether anybody did."""
    dropped = keep_knocks(connection, locator, 0)
    driver_of(connection).change("DELETE FROM group_codes WHERE locator = ?", (locator,))
    return dropped


def use(connection: Connection, locator: bytes) -> None:
    """Count one more who is in by a code."""
    driver_of(connection).change(
        "UPDATE group_codes SET used = used + 1 WHERE locator = ?", (locator,)
    )


def ended(connection: Connection, now: int, limit: int) -> list[bytes]:
    """Return some of the codes that have ended."""
    rows = driver_of(connection).all(
        "SELECT locator FROM group_codes WHERE until <= ? ORDER BY until LIMIT ?", (now, limit)
    )
    return [locator for (locator,) in rows]


# -- knocks


def count_knocks(connection: Connection, locator: bytes, but: UserId) -> int:
    """Count who waits under a code, one of them aside."""
    row = driver_of(connection).one(
        "SELECT COUNT(*) FROM group_knocks WHERE locator = ? AND user <> ?", (locator, but)
    )
    assert row is not None
    return int(row[0])


def rooms_knocked(connection: Connection, user: UserId) -> list[RoomId]:
    """Return the rooms at which a user waits."""
    rows = driver_of(connection).all("SELECT room FROM group_knocks WHERE user = ?", (user,))
    return [RoomId(room) for (room,) in rows]


def knocking(connection: Connection, room: RoomId, after: int, now: int) -> list[UserId]:
    """Return who waits at a room, of those with a higher number."""
    rows = driver_of(connection).all(
        "SELECT group_knocks.user FROM group_knocks"
        " JOIN group_codes ON group_codes.locator = group_knocks.locator"
        " WHERE group_knocks.room = ? AND group_knocks.user > ? AND group_codes.until > ?",
        (room, after, now),
    )
    return [UserId(user) for (user,) in rows]


def knock(connection: Connection, room: RoomId, user: UserId, now: int) -> Knock | None:
    """Return the knock of a user at a room, under a code that has not ended."""
    row = driver_of(connection).one(f"{_KNOCK} AND group_knocks.user = ?", (room, now, user))
    return None if row is None else Knock(*row)


def keep_knock(
    connection: Connection,
    room: RoomId,
    user: UserId,
    locator: bytes,
    now: int,
    body: bytes,
    packages: bytes,
) -> None:
    """Let a user wait at a room, in the place of a knock of before."""
    drop_knock(connection, room, user)
    driver_of(connection).insert(_KNOCKS, [(room, user, locator, now, body, packages)])


def drop_knock(connection: Connection, room: RoomId, user: UserId) -> bool:
    """Let a user wait at a room no more; say whether they did."""
    return bool(
        driver_of(connection).change(
            "DELETE FROM group_knocks WHERE room = ? AND user = ?", (room, user)
        )
    )


def take_back(connection: Connection, locator: bytes, user: UserId) -> RoomId | None:
    """Let a user wait under a code no more; return the room where they did."""
    row = driver_of(connection).one(
        "SELECT room FROM group_knocks WHERE locator = ? AND user = ?", (locator, user)
    )
    if row is None:
        return None
    drop_knock(connection, row[0], user)
    return RoomId(row[0])


def keep_knocks(connection: Connection, locator: bytes, count: int) -> bool:
    """Keep so many of those who wait under a code, who came first; say whether others had to go."""
    dropped = driver_of(connection).change(
        "DELETE FROM group_knocks WHERE locator = ? AND user IN (SELECT user FROM group_knocks"
        " WHERE locator = ? ORDER BY at, user LIMIT -1 OFFSET ?)",
        (locator, locator, count),
    )
    return bool(dropped)
