"""Messages of one's own on their way: typed, sealed, taken by the server, and then seen in the log.

::

    QUEUED    typed; it waits for a connection, for keys or for a person's decision
    SENT      sealed: its key is gone, and these bytes may have left
    ACCEPTED  the server has stored it, at a place that this device has not followed to yet
    REFUSED   the server did not take it (another epoch has begun): it is sealed again, under the same
              id and number

What stands in the log leaves the outbox.  Nothing that was sealed can be taken back: others count, and
would miss it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

from lairchat.client.store_database import Connection
from lairchat.e2ee.payload import Known, Receipt, Unknown, encode_body, read_body
from lairchat.mls.errors import MalformedError, MisuseError
from lairchat.model import limits
from lairchat.trust.locks import Audience, Lock
from lairchat.trust.policy import Role

SEALINGS_KEPT_MS: Final = limits.ANSWERS_KEPT_SECONDS * 1000
"""ms: for how long a server may still take what it had refused."""


class State(IntEnum):
    """How far a message has come."""

    QUEUED = 0
    SENT = 1
    ACCEPTED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of one's own that does not stand in the log yet.

    id: 16 random bytes, its name for good.  at: when it was typed, ms.
    expires: how long it is kept once it is read, seconds; 0: it stays.
    audience: who it was typed for; asked again before it leaves late.
    count, role, sealed: once it is sealed.  seq: its place, once it is accepted.
    """

    room: int
    id: bytes
    body: Known
    at: int
    audience: Audience
    expires: int = 0
    state: State = State.QUEUED
    count: int | None = None
    role: Role | None = None
    sealed: bytes | None = field(default=None, repr=False)
    seq: int | None = None


_COLUMNS: Final = "room, id, body, at, lock, expires, state, count, role, sealed, seq"


def waiting(connection: Connection, room: int | None = None) -> list[Letter]:
    """Return what is on its way, in the order in which it was typed."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE ?1 IS NULL OR room = ?1"  # noqa: S608 - a constant
        " ORDER BY number",
        (room,),
    ).fetchall()
    return [_letter(connection, row) for row in rows]


def find(connection: Connection, message: bytes) -> Letter | None:
    """Return a message that is on its way."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE id = ?",  # noqa: S608 - a constant
        (message,),
    ).fetchone()
    return None if row is None else _letter(connection, row)


def _letter(connection: Connection, row: Sequence[Any]) -> Letter:
    room, identity, stored, at, lock, expires, state, count, role, sealed, seq = row
    body = read_body(stored)
    if isinstance(body, Unknown):
        raise MalformedError("a message of one's own is of no known kind")
    members = connection.execute(
        "SELECT name, account FROM audiences WHERE message = ?", (identity,)
    ).fetchall()
    return Letter(
        room,
        identity,
        body,
        at,
        Audience(Lock(lock), frozenset(members)),
        expires,
        State(state),
        count,
        None if role is None else Role(role),
        sealed,
        seq,
    )


def put(connection: Connection, letter: Letter) -> None:
    """Write down a message that was just typed."""
    connection.execute(
        "INSERT INTO outbox (room, id, body, at, lock, expires, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            letter.room,
            letter.id,
            bytes(encode_body(letter.body)),
            letter.at,
            letter.audience.lock.value,
            letter.expires,
            State.QUEUED,
        ),
    )
    connection.executemany(
        "INSERT INTO audiences (message, name, account) VALUES (?, ?, ?)",
        [(letter.id, name, account) for name, account in sorted(letter.audience.members, key=str)],
    )


def seal(
    connection: Connection, message: bytes, sealed: bytes, count: int, role: Role, now_ms: int
) -> None:
    """Write down that a message was sealed, for the first time or again."""
    letter = find(connection, message)
    if letter is None or letter.state not in (State.QUEUED, State.REFUSED):
        raise MisuseError("only a message that waits, or was refused, is sealed")
    if letter.count not in (None, count):
        raise MisuseError("a message that is sealed again keeps its number")
    connection.execute(
        "UPDATE outbox SET state = ?, sealed = ?, count = ?, role = ? WHERE id = ?",
        (State.SENT, sealed, count, role, message),
    )
    connection.execute(
        "INSERT INTO sealings (room, digest, id, at) VALUES (?, ?, ?, ?)",
        (letter.room, sha256(sealed).digest(), message, now_ms),
    )


def accepted(connection: Connection, message: bytes, seq: int) -> None:
    """Write down where a message stands in the log, by the server's answer."""
    connection.execute(
        "UPDATE outbox SET state = ?, seq = ? WHERE id = ? AND state = ?",
        (State.ACCEPTED, seq, message, State.SENT),
    )


def refused(connection: Connection, message: bytes) -> None:
    """Write down that the server did not take a message."""
    connection.execute(
        "UPDATE outbox SET state = ? WHERE id = ? AND state = ?",
        (State.REFUSED, message, State.SENT),
    )


def take_back(connection: Connection, message: bytes) -> bool:
    """Forget a message that was typed and never sealed; return whether it was one."""
    done = connection.execute(
        "DELETE FROM outbox WHERE id = ? AND state = ?", (message, State.QUEUED)
    )
    return bool(done.rowcount)


def blank(connection: Connection, message: bytes) -> bool:
    """Let a message that was sealed and refused say nothing any more; return whether it was one.

    It still leaves, under its number: others count, and would take a gap for something withheld.
    """
    done = connection.execute(
        "UPDATE outbox SET body = ?, sealed = NULL WHERE id = ? AND state = ?",
        (bytes(encode_body(Receipt(0))), message, State.REFUSED),
    )
    return bool(done.rowcount)


def sealed_here(connection: Connection, room: int, digest: bytes) -> bytes | None:
    """Return the id of the message that this device sealed into these bytes; None if it did not."""
    row = connection.execute(
        "SELECT id FROM sealings WHERE room = ? AND digest = ?", (room, digest)
    ).fetchone()
    return None if row is None else bytes(row[0])


def stands(connection: Connection, message: bytes) -> Letter | None:
    """Take a message out that has been seen in the log; None if that was so before."""
    letter = find(connection, message)
    connection.execute("DELETE FROM outbox WHERE id = ?", (message,))
    return letter


def expire(connection: Connection, now_ms: int) -> None:
    """Forget sealings of messages that have long come, or that no server will bring any more."""
    connection.execute(
        "DELETE FROM sealings WHERE at < ? AND id NOT IN (SELECT id FROM outbox)",
        (now_ms - SEALINGS_KEPT_MS,),
    )


def forget(connection: Connection, room: int) -> None:
    """Forget what was to be said in a room."""
    connection.execute("DELETE FROM outbox WHERE room = ?", (room,))
    connection.execute("DELETE FROM sealings WHERE room = ?", (room,))
