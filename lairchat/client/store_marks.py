"""What a room is called, and what its reader leaves in it: a draft, a place, how long messages stay.

And what a device has to remember beside its rooms, by name.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lairchat.client import store_messages
from lairchat.client.store_database import Connection, Database


@dataclass(frozen=True, slots=True)
class Title:
    """A room's name and topic, as its members have set them; empty until somebody does."""

    name: str
    topic: str


class Marks:
    """Rooms as their reader left them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def title(self, room: int) -> Title:
        """Return a room's name and topic."""
        with self._database.reading() as connection:
            return _title(connection, room)

    def drafts(self) -> dict[int, str]:
        """Return what was typed and not sent, by room."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT room, text FROM drafts").fetchall())

    def keep_draft(self, room: int, text: str) -> None:
        """Keep what is typed in a room; empty forgets it."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM drafts WHERE room = ?", (room,))
            if text:
                connection.execute("INSERT INTO drafts (room, text) VALUES (?, ?)", (room, text))

    def reads(self) -> dict[int, int]:
        """Return up to where each room has been read."""
        with self._database.reading() as connection:
            return dict(connection.execute("SELECT room, seq FROM reads").fetchall())

    def latest_reads(self, count: int) -> list[tuple[int, int]]:
        """Return (room, place) up to where rooms have been read that this device is in.

        Of so many at most: those in which something was said last come first.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT room, reads.seq FROM reads JOIN rooms USING (room) ORDER BY"
                " (SELECT at FROM messages WHERE messages.room = reads.room ORDER BY seq DESC LIMIT 1)"
                " DESC, room DESC LIMIT ?",
                (count,),
            )
            return [(room, seq) for room, seq in rows.fetchall()]

    def read(self, room: int, seq: int, now_ms: int) -> None:
        """Keep up to where a room has been read, which never goes back.

        Messages that disappear begin to.
        """
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO reads (room, seq) VALUES (?, ?)"
                " ON CONFLICT (room) DO UPDATE SET seq = max(seq, excluded.seq)",
                (room, seq),
            )
            store_messages.seen(connection, room, seq, now_ms)

    def fact(self, name: str) -> bytes | None:
        """Return a small thing that was kept under a name."""
        with self._database.reading() as connection:
            return look_fact(connection, name)

    def keep_fact(self, name: str, value: bytes | None) -> None:
        """Keep a small thing under a name, in place of what was there; None forgets it."""
        with self._database.writing() as connection:
            keep_fact(connection, name, value)

    def keep_facts(self, names: Iterable[str]) -> None:
        """Keep that all of these are so, at once."""
        with self._database.writing() as connection:
            for name in names:
                keep_fact(connection, name, b"")

    def facts(self, prefix: str) -> list[str]:
        """Return the names, beginning with this, under which something is kept."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name FROM facts WHERE substr(name, 1, ?) = ? ORDER BY name",
                (len(prefix), prefix),
            )
            return [name for (name,) in rows.fetchall()]

    def timer(self, room: int) -> int:
        """Return how long what is said in a room stays once it is read, seconds; 0: it stays."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT seconds FROM timers WHERE room = ?", (room,)
            ).fetchone()
            return 0 if row is None else int(row[0])

    def keep_timer(self, room: int, seconds: int) -> None:
        """Keep how long what is said in a room from now on stays."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO timers (room, seconds) VALUES (?, ?)"
                " ON CONFLICT (room) DO UPDATE SET seconds = excluded.seconds",
                (room, seconds),
            )


def inherit_timer(connection: Connection, room: int, seconds: int) -> None:
    """Keep how long what is said in a room stays, unless that has been said of it already."""
    connection.execute(
        "INSERT INTO timers (room, seconds) VALUES (?, ?) ON CONFLICT (room) DO NOTHING",
        (room, seconds),
    )


def look_fact(connection: Connection, name: str) -> bytes | None:
    """Return a small thing that was kept under a name."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def keep_fact(connection: Connection, name: str, value: bytes | None) -> None:
    """Keep a small thing under a name; None forgets it."""
    connection.execute("DELETE FROM facts WHERE name = ?", (name,))
    if value is not None:
        connection.execute("INSERT INTO facts (name, value) VALUES (?, ?)", (name, value))


def _title(connection: Connection, room: int) -> Title:
    row = connection.execute("SELECT name, topic FROM names WHERE room = ?", (room,)).fetchone()
    return Title("", "") if row is None else Title(*row)


def rename(connection: Connection, room: int, name: str | None, topic: str | None) -> None:
    """Give a room another name or topic; what is None stays."""
    old = _title(connection, room)
    connection.execute(
        "INSERT INTO names (room, name, topic) VALUES (?, ?, ?)"
        " ON CONFLICT (room) DO UPDATE SET name = excluded.name, topic = excluded.topic",
        (room, old.name if name is None else name, old.topic if topic is None else topic),
    )


def forget(connection: Connection, room: int) -> None:
    """Erase all of this about a room."""
    connection.execute("DELETE FROM names WHERE room = ?", (room,))
    connection.execute("DELETE FROM drafts WHERE room = ?", (room,))
    connection.execute("DELETE FROM reads WHERE room = ?", (room,))
    connection.execute("DELETE FROM timers WHERE room = ?", (room,))
