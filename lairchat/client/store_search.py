"""Looking into what was said: one message, a page of them, words, and what changed between them."""

from dataclasses import dataclass
from typing import Final

from lairchat.client import store_messages
from lairchat.client.store_database import Database
from lairchat.client.store_messages import COLUMNS, FROM
from lairchat.e2ee.fold import Key, Message

SEARCH_TERMS: Final = 16
"""count: words of one search; more than that is pasted by mistake."""


@dataclass(frozen=True, slots=True)
class Note:
    """What changed in a room, in words; seq: its place among the messages, at: when, ms."""

    seq: int
    at: int
    text: str


class Messages:
    """What was said, as it is shown now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, room: int, key: Key) -> Message | None:
        """Return a message."""
        with self._database.reading() as connection:
            return store_messages.look(connection, room, key)

    def before(self, room: int, seq: int, count: int) -> list[Message]:
        """Return up to so many messages of a room that stand before a place, in order."""
        return self._page("seq < ? ORDER BY seq DESC", room, seq, count=count)[::-1]

    def after(self, room: int, seq: int, count: int) -> list[Message]:
        """Return up to so many messages of a room that stand after a place, in order."""
        return self._page("seq > ? ORDER BY seq", room, seq, count=count)

    def around(self, room: int, seq: int, count: int) -> list[Message]:
        """Return up to so many messages of a room: half before a place, half from it on, in order."""
        half = count // 2
        return self.before(room, seq, half) + self.after(room, seq - 1, count - half)

    def _page(self, which: str, room: int, *values: int, count: int) -> list[Message]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM {FROM} WHERE room = ? AND {which} LIMIT ?",  # noqa: S608
                (room, *values, count),
            ).fetchall()
            return [store_messages.read(connection, row) for row in rows]

    def note(self, room: int, seq: int, at: int, text: str) -> None:
        """Keep what changed in a room at a place, in words; said twice it stands once."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO changes (room, seq, at, text) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (room, seq, text) DO NOTHING",
                (room, seq, at, text),
            )

    def notes(self, room: int, before: int, count: int) -> list[Note]:
        """Return up to so many changes of a room that stand before a place, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, at, text FROM changes WHERE room = ? AND seq < ?"
                " ORDER BY seq DESC, number DESC LIMIT ?",
                (room, before, count),
            ).fetchall()
            return [Note(*row) for row in reversed(rows)]

    def notes_after(self, room: int, after: int, count: int) -> list[Note]:
        """Return up to so many changes of a room that stand after a place, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, at, text FROM changes WHERE room = ? AND seq > ?"
                " ORDER BY seq, number LIMIT ?",
                (room, after, count),
            ).fetchall()
            return [Note(*row) for row in rows]

    def last(self, room: int) -> int:
        """Return the place of the last message of a room; 0 if there is none."""
        with self._database.reading() as connection:
            (found,) = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM messages WHERE room = ?", (room,)
            ).fetchone()
            return int(found)

    def last_restored(self, room: int) -> Message | None:
        """Return the last message of a room that is known from the backup alone."""
        found = self._page("hash = x'' ORDER BY seq DESC", room, count=1)
        return found[0] if found else None

    def unread(self, room: int, seq: int, author: bytes) -> int:
        """Return how many messages of others have come after a place; from a backup none comes."""
        with self._database.reading() as connection:
            (found,) = connection.execute(
                "SELECT count(*) FROM messages JOIN events USING (room, seq)"
                " WHERE room = ? AND seq > ? AND author IS NOT ? AND text IS NOT NULL AND hash != x''",
                (room, seq, author),
            ).fetchone()
            return int(found)

    def search(self, text: str, count: int, room: int | None = None) -> list[tuple[int, Message]]:
        """Return (room, message) of up to so many that have all these words, newest first.

        The last word may be the beginning of one.
        """
        query = _query(text)
        if not query:
            return []
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT room, {COLUMNS} FROM found JOIN messages ON number = found.rowid"  # noqa: S608
                " JOIN events USING (room, seq)"
                " WHERE found MATCH ? AND (?2 IS NULL OR room = ?2)"
                " ORDER BY found.rowid DESC LIMIT ?3",
                (query, room, count),
            ).fetchall()
            return [(row[0], store_messages.read(connection, row[1:])) for row in rows]

    def proof(self, room: int, seq: int) -> bytes | None:
        """Return what proves who wrote the message at a place, as it stands; None if that is not here."""
        with self._database.reading() as connection:
            return store_messages.proof(connection, room, seq)

    def over(self, now_ms: int, author: bytes) -> list[tuple[int, int]]:
        """Return (room, place) of what somebody said and has had its time, and is not erased yet."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT room, seq FROM {FROM}"  # noqa: S608 - a constant
                " WHERE gone_at IS NOT NULL AND gone_at <= ? AND author = ?",
                (now_ms, author),
            )
            return [(room, seq) for room, seq in rows.fetchall()]

    def next_expiry(self) -> int | None:
        """Return when the next message disappears, ms; None if none does."""
        with self._database.reading() as connection:
            (found,) = connection.execute(
                "SELECT min(gone_at) FROM messages WHERE gone_at IS NOT NULL"
            ).fetchone()
            return None if found is None else int(found)


def _query(text: str) -> str:
    """Return what FTS5 understands as these words and nothing else."""
    # A zero would end the query for SQLite; of anything else in quotes only quotes mean something.
    terms = text.replace("\0", " ").split()[:SEARCH_TERMS]
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms if _has_letters(term)]
    return " ".join(quoted) + "*" if quoted else ""


def _has_letters(term: str) -> bool:
    # What the tokenizer sees nothing in would match nothing, and the whole search with it.
    return any(char.isalnum() for char in term)
