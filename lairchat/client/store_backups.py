"""What of a store the backup has: which chunks have changed, and what comes back from others.

Promises not to know: keys, objects, the network.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from lairchat.client import store_marks, store_messages
from lairchat.client.store_database import Connection, Database
from lairchat.client.store_marks import keep_fact, look_fact
from lairchat.client.store_messages import COLUMNS, FROM
from lairchat.e2ee.backup import DAY_MS, PLACES, Place, RoomName, Seen
from lairchat.e2ee.fold import Message
from lairchat.trust.secret import SecretBytes

KEY: Final = "backup key"
"""The fact that holds the backup's key: the recovery words, from which it comes, are kept nowhere."""
SEEN: Final = "backup seen"
"""The fact that holds the version and digest of the newest index that this device has seen."""
OFF: Final = "backup off"
"""The fact that the user wants no backup."""
_AT: Final = "room = ? AND day = ? AND part = ?"


class Backups:
    """How the backup stands to this store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def key(self) -> SecretBytes | None:
        """Return the backup's key; None before the words were here."""
        with self._database.reading() as connection:
            found = look_fact(connection, KEY)
            return None if found is None else SecretBytes(found)

    def keep_key(self, key: SecretBytes) -> None:
        """Keep the backup's key; under another one than before nothing is backed up yet."""
        if key == self.key():
            return
        with self._database.writing() as connection:
            keep_fact(connection, KEY, key.reveal())
            for name in (SEEN, OFF):
                keep_fact(connection, name, None)
            connection.execute("DELETE FROM saved")
        self.mark()

    def seen(self) -> Seen | None:
        """Return the newest index that this device has seen."""
        with self._database.reading() as connection:
            found = look_fact(connection, SEEN)
            return None if found is None else Seen(int.from_bytes(found[:8], "big"), found[8:])

    @property
    def off(self) -> bool:
        """Whether there shall be no backup."""
        with self._database.reading() as connection:
            return look_fact(connection, OFF) is not None

    def saw(self, version: int, data: bytes, *, off: bool) -> None:
        """Keep which index is the newest, and what it says of itself."""
        with self._database.writing() as connection:
            _saw(connection, version, data)
            keep_fact(connection, OFF, b"1" if off else None)
            if off:
                connection.execute("DELETE FROM saved")

    # What is to be saved.

    def unsaved(self) -> dict[Place, int]:
        """Return which chunks are not as this store is, with the count of their changes."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT room, day, part, changes FROM unsaved").fetchall()
            return {Place(*row[:3]): row[3] for row in rows}

    def saved(self) -> dict[Place, bytes]:
        """Return the names of the objects that this store has all of."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT room, day, part, name FROM saved").fetchall()
            return {Place(*row[:3]): row[3] for row in rows}

    def messages(self, place: Place) -> list[Message]:
        """Return what is backed up of a place: neither what is deleted nor what disappears."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM {FROM} WHERE room = ? AND seq >= ? AND seq < ?"  # noqa: S608
                " AND at >= ? AND at < ? AND text IS NOT NULL AND NOT expires ORDER BY seq",
                (
                    *(place.room, place.part * PLACES, (place.part + 1) * PLACES),
                    *(place.day * DAY_MS, (place.day + 1) * DAY_MS),
                ),
            ).fetchall()
            return [store_messages.read(connection, row) for row in rows]

    def mark(self, places: Iterable[Place] | None = None) -> None:
        """Have chunks written again, all of them by default."""
        with self._database.writing() as connection:
            if places is None:
                rows = connection.execute(
                    f"SELECT DISTINCT room, at / {DAY_MS}, seq / {PLACES} FROM messages"  # noqa: S608
                    " WHERE NOT expires AND text IS NOT NULL"
                )
                places = [Place(*row) for row in rows.fetchall()]
            connection.executemany(
                "INSERT INTO unsaved (room, day, part, changes) VALUES (?, ?, ?, 1)"
                " ON CONFLICT (room, day, part) DO UPDATE SET changes = changes + 1",
                places,
            )

    def keep(
        self,
        version: int,
        data: bytes,
        written: Sequence[tuple[Place, int, bytes | None]],
    ) -> None:
        """Keep that a new index stands, and which chunks it brought.

        written: place, changes as they were when it was read, and name, None for what is empty.
        """
        with self._database.writing() as connection:
            _saw(connection, version, data)
            for place, changes, name in written:
                _save(connection, place, name)
                connection.execute(
                    f"DELETE FROM unsaved WHERE {_AT} AND changes = ?",  # noqa: S608
                    (*place, changes),
                )

    # What comes back.

    def restore(self, place: Place, name: bytes, messages: Sequence[Message]) -> int:
        """Take in a chunk that another device has saved; return how many messages were not here.

        Of a room that this device is in only what stands behind it: the rest it reads itself.
        """
        with self._database.writing() as connection:
            before = _changes(connection, place)
            row = connection.execute(
                "SELECT seq FROM rooms WHERE room = ?", (place.room,)
            ).fetchone()
            passed = [one for one in messages if row is None or one.said.seq <= row[0]]
            new = sum(store_messages.restore(connection, place.room, one) for one in passed)
            if len(passed) == len(messages):
                _save(connection, place, name)
            # What has come from there is there.
            connection.execute(f"DELETE FROM unsaved WHERE {_AT}", place)  # noqa: S608
            if before:
                connection.execute("INSERT INTO unsaved VALUES (?, ?, ?, ?)", (*place, before))
            return new

    def restore_rooms(self, rooms: Iterable[RoomName]) -> None:
        """Take in rooms: that they are encrypted, and what they are called unless that is known here."""
        with self._database.writing() as connection:
            for one in rooms:
                # A room that was encrypted once is never taken for a plain one, here neither.
                connection.execute(
                    "INSERT INTO numbers (room, count) VALUES (?, 0) ON CONFLICT DO NOTHING",
                    (one.room,),
                )
                known = connection.execute(
                    "SELECT 1 FROM names WHERE room = ?", (one.room,)
                ).fetchone()
                if known is None and (one.name or one.topic):
                    store_marks.rename(connection, one.room, one.name.decode(), one.topic.decode())

    def rooms(self) -> list[RoomName]:
        """Return the rooms of which something is here, with their names."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT room, coalesce(name, ''), coalesce(topic, '') FROM"
                " (SELECT room FROM rooms UNION SELECT room FROM numbers) LEFT JOIN names USING (room)"
            ).fetchall()
            return [RoomName(room, name.encode(), topic.encode()) for room, name, topic in rows]


def _saw(connection: Connection, version: int, data: bytes) -> None:
    keep_fact(connection, SEEN, version.to_bytes(8, "big") + sha256(data).digest())


def _changes(connection: Connection, place: Place) -> int:
    row = connection.execute(f"SELECT changes FROM unsaved WHERE {_AT}", place).fetchone()  # noqa: S608
    return 0 if row is None else int(row[0])


def _save(connection: Connection, place: Place, name: bytes | None) -> None:
    connection.execute(f"DELETE FROM saved WHERE {_AT}", place)  # noqa: S608
    if name is not None:
        connection.execute("INSERT INTO saved VALUES (?, ?, ?, ?)", (*place, name))
