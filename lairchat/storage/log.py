"""Keeps every room's events as a dense, hash-chained, durable sequence, and what hangs on it.

Every function takes the connection of the transaction it is part of: what one transaction appends,
answers and moves is durable together or not at all (architecture.md, decisions 1 to 3).
Heads are read from the database each time, never kept in memory: another process may write too.
Answers of commands (answers.py) and read cursors (cursors.py) are part of the log's interface.

Each event's row keeps the hash of the chain (:mod:`lairchat.model.chain`) at it; a purged one keeps
SHA-256(body), so that the chain still verifies.
"""

import hashlib
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from lairchat.model.chain import genesis, link, pack
from lairchat.model.events import COUNTED, STORED
from lairchat.storage.answers import (
    Answer,
    AnswerRow,
    find_answers,
    forget_answers,
    store_answers,
)
from lairchat.storage.cursors import (
    Cursor,
    Unread,
    cursors_of_user,
    forget_cursors,
    forget_device,
    move_cursor,
    read_cursor,
    unread,
)
from lairchat.storage.statements import FEW, Columns, Driver, NoLogError, Row, driver_of

_PURGE_STEP = 500  # events whose bodies are in memory at a time while purging or verifying

_STORED_KINDS = frozenset(int(kind) for kind in STORED)
_COUNTED_KINDS = frozenset(int(kind) for kind in COUNTED)

_sha256 = hashlib.sha256

_EVENTS = Columns(
    "log_events",
    ("room", "seq", "at", "sender", "device", "kind", "messages", "id", "hash", "body"),
)
_HEADS = Columns("log_heads", ("room", "seq", "hash", "messages"))

_HEAD = "SELECT seq, hash, messages FROM log_heads WHERE room = ?"
_HEADS_AMONG = "SELECT room, seq, hash, messages FROM log_heads WHERE room IN ?"
_HEADS_IN_ONE_ROW = (
    "SELECT group_concat(printf('%016x%016x%016x', room, seq, messages) || hex(hash), '')"
    " FROM log_heads WHERE room IN ?"
)
_unpack_heads = struct.Struct(">QQQ32s").iter_unpack
_STORED = "SELECT room, seq, at, sender, device, kind, id, body, hash, digest FROM log_events WHERE room = ?"


class Entry(NamedTuple):
    """An event to append: everything but its place in the log.

    kind: an EventClass that is stored. id: the sender's command id. at: ms since 1970.
    """

    room: int
    sender: int
    device: int
    kind: int
    id: bytes
    body: bytes
    at: int


class Stored(NamedTuple):
    """An event of the log.

    body: None when purged; digest: then its SHA-256.  hash: the chain's hash at this event.
    """

    room: int
    seq: int
    at: int
    sender: int
    device: int
    kind: int
    id: bytes
    body: bytes | None
    hash: bytes
    digest: bytes | None = None


class Head(NamedTuple):
    """The end of a room's log: its last sequence number (0: empty), hash, and count of messages."""

    seq: int
    hash: bytes
    messages: int


def create_head(connection: Connection, room: int) -> None:
    """Begin the log of a new room; raises IntegrityError (the driver's) if it has one."""
    driver_of(connection).change(
        "INSERT INTO log_heads (room, seq, hash, messages) VALUES (?, 0, ?, 0)",
        (room, genesis(room)),
    )


def heads(connection: Connection, rooms: Collection[int]) -> dict[int, Head]:
    """Return the heads of these rooms, in one SELECT; rooms without a log are left out."""
    return _heads(driver_of(connection), rooms)


def _heads(driver: Driver, rooms: Collection[int]) -> dict[int, Head]:
    if len(rooms) <= FEW:
        found = ((room, driver.one(_HEAD, (room,))) for room in rooms)
        return {room: Head(*row) for room, row in found if row is not None}
    if not driver.sqlite:
        rows = driver.among(_HEADS_AMONG, rooms)
        return {room: Head(seq, digest, messages) for room, seq, digest, messages in rows}
    # One row for all: statements.py says why.
    texts = (text for (text,) in driver.among(_HEADS_IN_ONE_ROW, rooms) if text is not None)
    return {
        room: Head(seq, digest, messages)
        for text in texts
        for room, seq, messages, digest in _unpack_heads(bytes.fromhex(text))
    }


def append(connection: Connection, entries: Sequence[Entry]) -> list[int]:
    """Append events and return their sequence numbers, in the order of the entries.

    Entries of one room get consecutive numbers in the order given.
    Raises NoLogError, before the first write, if a room has no log; ValueError for a class of
    event that is never stored.
    """
    driver = driver_of(connection)
    ends = _heads(driver, {entry.room for entry in entries})
    # By room, keeping the order within each: neighbours share a page of the index, and the
    # chain's state stays in local variables.
    rooms = [entry.room for entry in entries]
    order = sorted(range(len(entries)), key=rooms.__getitem__)
    seqs = [0] * len(entries)
    rows: list[Row] = []
    new_heads: list[Row] = []
    current = -1
    seq = messages = 0
    digest = b""
    for place in order:
        room, sender, device, kind, identifier, body, at = entries[place]
        if room != current:
            if current != -1:
                new_heads.append((current, seq, digest, messages))
            end = ends.get(room)
            if end is None:
                raise NoLogError(f"room {room} has no log")
            seq, digest, messages = end
            current = room
        if kind not in _STORED_KINDS:
            raise ValueError(f"events of class {kind} are never stored")
        seq += 1
        messages += kind in _COUNTED_KINDS
        digest = _sha256(digest + pack(seq, kind, sender) + _sha256(body).digest()).digest()
        rows.append((room, seq, at, sender, device, kind, messages, identifier, digest, body))
        seqs[place] = seq
    if entries:
        new_heads.append((current, seq, digest, messages))
        driver.insert(_EVENTS, rows)
        driver.update(_HEADS, new_heads)
    return seqs


def page(
    connection: Connection,
    room: int,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int,
) -> list[Stored]:
    """Return up to ``limit`` events in ascending order.

    after: those right behind this number (ascending from there), also when ``before`` bounds them.
    before: alone, the last ones in front of this number; neither: the last ones of the room.
    """
    driver = driver_of(connection)
    if after is None:
        bound, values = (
            ("", (room, limit)) if before is None else ("AND seq < ?", (room, before, limit))
        )
        rows = driver.all(f"{_STORED} {bound} ORDER BY seq DESC LIMIT ?", values)
        rows.reverse()
    elif before is None:
        rows = driver.all(f"{_STORED} AND seq > ? ORDER BY seq LIMIT ?", (room, after, limit))
    else:
        rows = driver.all(
            f"{_STORED} AND seq > ? AND seq < ? ORDER BY seq LIMIT ?", (room, after, before, limit)
        )
    return [Stored._make(row) for row in rows]


def purge(connection: Connection, room: int, seqs: Collection[int]) -> int:
    """Take the bodies from these events and return how many had one; the chain still verifies.

    The bytes are overwritten in the database file (secure_delete); copies in the WAL go with the
    next truncating checkpoint, ``Database.checkpoint(truncate=True)``, and those in backups stay.
    """
    driver = driver_of(connection)
    purged = 0
    wanted = sorted(seqs)
    for start in range(0, len(wanted), _PURGE_STEP):
        found = driver.among(
            "SELECT seq, body FROM log_events WHERE room = ? AND body IS NOT NULL AND seq IN ?",
            wanted[start : start + _PURGE_STEP],
            (room,),
        )
        for seq, body in list(found):
            purged += driver.change(
                "UPDATE log_events SET body = NULL, digest = ? WHERE room = ? AND seq = ?",
                (_sha256(body).digest(), room, seq),
            )
    return purged


def verify(connection: Connection, room: int) -> int | None:
    """Return the first sequence number at which a room's log is not what was appended, or None.

    Finds changed, missing, doubled and surplus events, and a head that is not the last event's.
    Reads the whole room, some hundred events at a time.
    Raises NoLogError if the room has no log.
    """
    driver = driver_of(connection)
    row = driver.one(_HEAD, (room,))
    if row is None:
        raise NoLogError(f"room {room} has no log")
    head = Head(*row)
    seq, messages, digest = 0, 0, genesis(room)
    for found, kind, sender, count, stored, body, kept in _chain(driver, room):
        seq += 1
        messages += kind in _COUNTED_KINDS
        body_digest = kept if body is None else _sha256(body).digest()
        if found != seq or count != messages or body_digest is None:
            return seq
        if kind not in _STORED_KINDS or sender < 0:  # what link() could not even pack
            return seq
        digest = link(digest, seq, kind, sender, body_digest)
        if stored != digest or seq > head.seq:
            return seq
    return None if head == (seq, digest, messages) else max(seq, 1)


def _chain(driver: Driver, room: int) -> Iterator[Row]:
    last = -1
    while True:
        rows = driver.all(
            "SELECT seq, kind, sender, messages, hash, body, digest FROM log_events"
            " WHERE room = ? AND seq > ? ORDER BY seq LIMIT ?",
            (room, last, _PURGE_STEP),
        )
        yield from rows
        if len(rows) < _PURGE_STEP:
            return
        last = rows[-1][0]


def rooms(connection: Connection) -> list[int]:
    """Return all rooms that have a log or events, in ascending order."""
    # The union, so that events whose head is gone are not overlooked.
    found = driver_of(connection).all(
        "SELECT room FROM log_heads UNION SELECT DISTINCT room FROM log_events ORDER BY room"
    )
    return [room for (room,) in found]


__all__ = [
    "Answer",
    "AnswerRow",
    "Cursor",
    "Entry",
    "Head",
    "NoLogError",
    "Stored",
    "Unread",
    "append",
    "create_head",
    "cursors_of_user",
    "find_answers",
    "forget_answers",
    "forget_cursors",
    "forget_device",
    "genesis",
    "heads",
    "link",
    "move_cursor",
    "page",
    "purge",
    "read_cursor",
    "rooms",
    "store_answers",
    "unread",
    "verify",
]
