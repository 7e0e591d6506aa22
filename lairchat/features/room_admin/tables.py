"""What an encrypted room takes, and how it is taken out of the database, whichever feature put it there.

Every function takes a connection inside a transaction; those that write belong to the writer's.
"""

from functools import cache
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.engine import Connection

from lairchat.model.ids import RoomId
from lairchat.storage.schema import log_events, metadata
from lairchat.storage.statements import driver_of

_GROUPS = "mls_groups"

#: What goes with the deletion itself, in this order: who is in the group, and who waits to come in.
AT_ONCE = (
    *("group_leaves", "group_removals", "group_proposals"),
    *("group_knocks", "group_codes"),
)


@cache
def hanging() -> tuple[Table, ...]:
    """Return the tables whose rows are a part of a room's group."""
    return tuple(
        table
        for table in reversed(metadata.sorted_tables)
        if any(key.column.table.name == _GROUPS for key in table.foreign_keys)
    )


def size(connection: Connection, room: RoomId) -> int:
    """Return how many bytes of bodies, commits and trees a room takes."""
    parts = [(log_events, log_events.c.body)]
    parts += [(one, one.c.data) for one in hanging() if "data" in one.c]
    return sum(
        int(
            connection.execute(
                select(func.coalesce(func.sum(func.length(data)), 0)).where(table.c.room == room)
            ).scalar_one()
        )
        for table, data in parts
    )


def shut(connection: Connection, room: RoomId) -> None:
    """Let nobody be in a room's group any more, nor come in: nothing is proposed there for anybody."""
    driver = driver_of(connection)
    for table in AT_ONCE:
        driver.change(f"DELETE FROM {table} WHERE room = ?", (room,))  # noqa: S608 - constants only


def erase_groups(connection: Connection, limit: int) -> bool:
    """Take up to so many rows of a deleted room's group away; say whether more may be left."""
    row = driver_of(connection).one(
        f"SELECT rooms.id FROM rooms JOIN {_GROUPS} ON {_GROUPS}.room = rooms.id"  # noqa: S608
        " WHERE rooms.erased_to IS NOT NULL LIMIT 1"
    )
    if row is None:
        return False
    room, left = row[0], limit
    for table in hanging():
        left -= _erase_some(connection, table, room, left)
        if not left:
            return True
    driver_of(connection).change(f"DELETE FROM {_GROUPS} WHERE room = ?", (room,))  # noqa: S608
    return True


def _erase_some(connection: Connection, table: Table, room: int, limit: int) -> int:
    key = list(table.primary_key)
    query = select(*key).where(table.c.room == room).limit(limit)
    found: list[Any] = [
        {f"old_{number}": value for number, value in enumerate(row)}
        for row in connection.execute(query)
    ]
    if found:
        this = [column == bindparam(f"old_{number}") for number, column in enumerate(key)]
        connection.execute(delete(table).where(*this), found)
    return len(found)
