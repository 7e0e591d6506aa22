"""What is kept of a room that this device has gone out of, for the day on which it comes in again.

Its group: a room's number is the server's to say, and what was read there before stands above what is
said next.  Who was there, if this device's person stayed: whoever came meanwhile it has not seen.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lairchat.client.store_database import Connection
from lairchat.client.store_marks import keep_fact, look_fact
from lairchat.e2ee.room import Room
from lairchat.mls.codec import OPAQUE, Fixed, Struct, Vector
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.signing import HASH_BYTES

_LEFT = "left:"


@dataclass(frozen=True, slots=True)
class Left(Struct):
    """A room as it was when this device went out of it; accounts: none where its person went as well."""

    LAYOUT = (OPAQUE, Vector(Fixed(HASH_BYTES)))
    group: bytes
    accounts: tuple[bytes, ...]


def keep(connection: Connection, room: Room, removed: Iterable[LeafIdentity]) -> None:
    """Keep what a room is, as this device had it before a change that took these out."""
    gone = set(removed)
    stay = {one.account for one in room.members if one not in gone}
    accounts = {one.account for one in room.members} if room.own.account in stay else set()
    left = Left(room.group.context.group_id, tuple(sorted(accounts)))
    keep_fact(connection, f"{_LEFT}{room.room}", left.encode())


def look(connection: Connection, room: int) -> Left | None:
    """Return a room as it was when this device went out of it; None if it is in it, or never was."""
    found = look_fact(connection, f"{_LEFT}{room}")
    return None if found is None else Left.decode(found)


def forget(connection: Connection, room: int) -> None:
    """Forget what a room was: this device is in it."""
    keep_fact(connection, f"{_LEFT}{room}", None)
