"""Keeps how far each device has read each room, and counts what is unread at constant cost."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from lairchat.storage.statements import Driver, NoLogError, driver_of


class Cursor(NamedTuple):
    """How far a device has read a room: the last event, and the count of messages up to there."""

    room: int
    device: int
    seq: int
    messages: int


class Unread(NamedTuple):
    """A room as one user sees it: last event, last one read on any device, unread messages."""

    head: int
    read: int
    messages: int


def read_cursor(connection: Connection, user: int, device: int, room: int) -> Cursor:
    """Return how far a device has read a room; sequence number 0 if it never said."""
    return _read_cursor(driver_of(connection), user, device, room) or Cursor(room, device, 0, 0)


def _read_cursor(driver: Driver, user: int, device: int, room: int) -> Cursor | None:
    row = driver.one(
        "SELECT seq, messages FROM log_cursors WHERE reader = ? AND room = ? AND device = ?",
        (user, room, device),
    )
    return None if row is None else Cursor(room, device, *row)


def move_cursor(connection: Connection, user: int, device: int, room: int, seq: int) -> Cursor:
    """Move a device's cursor forward, at most to the end of the room, and return where it is.

    A cursor never goes back: devices report late and out of order.
    Raises NoLogError if the room has no log.
    """
    driver = driver_of(connection)
    end = driver.one("SELECT seq FROM log_heads WHERE room = ?", (room,))
    if end is None:
        raise NoLogError(f"room {room} has no log")
    here = _read_cursor(driver, user, device, room)
    target = min(seq, end[0])
    if target <= (0 if here is None else here.seq):
        return here or Cursor(room, device, 0, 0)
    row = driver.one("SELECT messages FROM log_events WHERE room = ? AND seq = ?", (room, target))
    if row is None:
        raise NoLogError(f"room {room} lacks event {target}")
    moved = Cursor(room, device, target, row[0])
    if here is None:
        driver.change(
            "INSERT INTO log_cursors (seq, messages, reader, room, device) VALUES (?, ?, ?, ?, ?)",
            (target, moved.messages, user, room, device),
        )
    else:
        driver.change(
            "UPDATE log_cursors SET seq = ?, messages = ?"
            " WHERE reader = ? AND room = ? AND device = ?",
            (target, moved.messages, user, room, device),
        )
    return moved


def cursors_of_user(connection: Connection, user: int) -> list[Cursor]:
    """Return all cursors of a user's devices, by room, then device; device 0 stands for past ones."""
    rows = driver_of(connection).all(
        "SELECT room, device, seq, messages FROM log_cursors WHERE reader = ? ORDER BY room, device",
        (user,),
    )
    return [Cursor._make(row) for row in rows]


def unread(connection: Connection, user: int, rooms: Collection[int]) -> dict[int, Unread]:
    """Return what a user has not read in these rooms, in one SELECT; rooms without a log are left out.

    Subtracts counts that the log keeps, so that the cost does not grow with the history.
    """
    rows = driver_of(connection).among(
        "SELECT h.room, h.seq, h.messages, COALESCE(MAX(c.seq), 0), COALESCE(MAX(c.messages), 0)"
        " FROM log_heads h LEFT JOIN log_cursors c ON c.reader = ? AND c.room = h.room"
        " WHERE h.room IN ? GROUP BY h.room, h.seq, h.messages",
        rooms,
        (user,),
    )
    return {room: Unread(seq, read, total - messages) for room, seq, total, read, messages in rows}


def forget_device(connection: Connection, user: int, device: int) -> None:
    """Drop the cursors of a device that is gone; what it had read stays read, as device 0's."""
    for cursor in cursors_of_user(connection, user):
        if cursor.device == device:
            move_cursor(connection, user, 0, cursor.room, cursor.seq)
    driver_of(connection).change(
        "DELETE FROM log_cursors WHERE reader = ? AND device = ?", (user, device)
    )


def forget_cursors(connection: Connection, user: int, room: int) -> None:
    """Drop a user's cursors in a room that they left."""
    driver_of(connection).change(
        "DELETE FROM log_cursors WHERE reader = ? AND room = ?", (user, room)
    )
