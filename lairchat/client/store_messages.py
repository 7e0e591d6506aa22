"""What was said in encrypted rooms, as it is shown now: folded, searchable, and gone when it should be.

A deleted message keeps its place and nothing else.  Its words leave the index with it (FTS5's
``secure-delete``); what it still knows of where they stood goes with ``purge``.

Promises not to know: keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lairchat.client.store_database import Connection
from lairchat.e2ee.fold import Key, Message, Said
from lairchat.e2ee.payload import Known, Text, Unknown, encode_body, read_body
from lairchat.trust.policy import Role

COLUMNS: Final = (
    "number, seq, author, device, role, id, at, body, messages.text, edited, deleted_by"
)
FROM: Final = "messages JOIN events USING (room, seq)"
_GONE: Final = b""


# Reading.


def look(connection: Connection, room: int, key: Key) -> Message | None:
    """Return a message as it has been folded so far."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM {FROM} WHERE room = ? AND author = ? AND id = ?",  # noqa: S608
        (room, *key),
    ).fetchone()
    return None if row is None else read(connection, row)


def read(connection: Connection, row: Sequence[Any]) -> Message:
    """Return the message of a row of ``COLUMNS``."""
    number, seq, author, device, role, identity, at, body, text, edited, deleted_by = row
    said = Said(seq, author, device, Role(role), identity, at, _body(body, text))
    reactions: dict[str, frozenset[bytes]] = {}
    for emoji, who in connection.execute(
        "SELECT emoji, author FROM reactions WHERE message = ?", (number,)
    ):
        reactions[emoji] = reactions.get(emoji, frozenset()) | {who}
    votes: dict[bytes, tuple[int, ...]] = {}
    for who, pick in connection.execute(
        "SELECT author, pick FROM votes WHERE message = ?", (number,)
    ):
        votes[who] = (*votes.get(who, ()), pick)
    return Message(said, text, edited, deleted_by, reactions, votes)


def _body(stored: bytes | None, text: str) -> Known | Unknown:
    if stored is None:
        return Text(text)
    return Unknown() if stored == _GONE else read_body(stored)


def _stored(message: Message) -> bytes | None:
    body = message.said.body
    if isinstance(body, Unknown):
        return _GONE
    if isinstance(body, Text):
        # What an edit has replaced is not kept.
        assert message.text is not None, "a deleted message says nothing"
        body = Text(message.text, body.me, body.thread, body.reply)
        if body == Text(message.text):
            # Most messages are a text and no more; it is not kept twice.
            return None
    return bytes(encode_body(body))


def proof(connection: Connection, room: int, seq: int) -> bytes | None:
    """Return what proves who wrote the message at a place, as it stands; None if that is not here."""
    row = connection.execute(
        "SELECT proof FROM messages WHERE room = ? AND seq = ?", (room, seq)
    ).fetchone()
    return None if row is None else row[0]


# Writing.


def write(
    connection: Connection,
    room: int,
    old: Message | None,
    new: Message,
    expires: int = 0,
    proof: bytes | None = None,
) -> None:
    """Write a message as it is now; old: as it was written, None if it is new.

    expires: how long it stays once it has been read, seconds; 0: it stays.
    proof: what its author has signed of it or of this change, with the signature.
    """
    if old is None:
        number = _insert(connection, room, new, expires, proof)
        _index(connection, number, new.text)
        return
    (number,) = connection.execute(
        "SELECT number FROM messages WHERE room = ? AND seq = ?", (room, new.said.seq)
    ).fetchone()
    if (old.text, old.edited) != (new.text, new.edited):
        _replace(connection, number, old.text, new, proof)
    _react(connection, number, old, new)
    _vote(connection, number, old, new)


def _replace(
    connection: Connection, number: int, old: str | None, new: Message, proof: bytes | None
) -> None:
    _unindex(connection, number, old)
    # The proof of what was there before goes with it, or the old words would stay in it; that a message
    # was deleted needs none.
    kept = None if new.text is None else proof
    connection.execute(
        "UPDATE messages SET body = ?, text = ?, edited = ?, deleted_by = ?, proof = ?"
        " WHERE number = ?",
        (_stored(new), new.text, new.edited, new.deleted_by, kept, number),
    )
    _index(connection, number, new.text)


def _react(connection: Connection, number: int, old: Message, new: Message) -> None:
    before, after = _pairs(old.reactions), _pairs(new.reactions)
    connection.executemany(
        "DELETE FROM reactions WHERE message = ? AND emoji = ? AND author = ?",
        [(number, *pair) for pair in before - after],
    )
    connection.executemany(
        "INSERT INTO reactions (message, emoji, author) VALUES (?, ?, ?)",
        [(number, *pair) for pair in after - before],
    )


def _vote(connection: Connection, number: int, old: Message, new: Message) -> None:
    before, after = _pairs(old.votes), _pairs(new.votes)
    connection.executemany(
        "DELETE FROM votes WHERE message = ? AND author = ? AND pick = ?",
        [(number, *pair) for pair in before - after],
    )
    connection.executemany(
        "INSERT INTO votes (message, author, pick) VALUES (?, ?, ?)",
        [(number, *pair) for pair in after - before],
    )


def _pairs(held: Mapping[Any, Iterable[Any]]) -> set[tuple[Any, Any]]:
    return {(key, one) for key, several in held.items() for one in several}


def _index(connection: Connection, number: int, text: str | None) -> None:
    if text:
        connection.execute("INSERT INTO found (rowid, text) VALUES (?, ?)", (number, text))


def _unindex(connection: Connection, number: int, text: str | None) -> None:
    if text:
        connection.execute("UPDATE profile SET stale = 1 WHERE NOT stale")
        # FTS5 has no other copy of the text, and needs it to find its words.
        connection.execute(
            "INSERT INTO found (found, rowid, text) VALUES ('delete', ?, ?)", (number, text)
        )


def _insert(
    connection: Connection, room: int, message: Message, expires: int, proof: bytes | None
) -> int:
    said = message.said
    written = connection.execute(
        "INSERT INTO messages"
        " (room, seq, device, role, at, body, text, edited, deleted_by, expires, proof)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            room,
            said.seq,
            said.device,
            said.role,
            said.at,
            _stored(message),
            message.text,
            message.edited,
            message.deleted_by,
            expires,
            proof,
        ),
    )
    return int(written.lastrowid)


def seen(connection: Connection, room: int, seq: int, now_ms: int) -> None:
    """Let messages up to a place begin to disappear that do so once they have been read."""
    connection.execute(
        "UPDATE messages SET gone_at = ? + 1000 * expires"
        " WHERE room = ? AND seq <= ? AND expires AND gone_at IS NULL AND text IS NOT NULL",
        (now_ms, room, seq),
    )


def expire(connection: Connection, now_ms: int) -> list[tuple[int, Key]]:
    """Erase what has been there for long enough; return (room, message) of each."""
    # What was read while the clock was ahead would stay for as long as that was.
    connection.execute(
        "UPDATE messages SET gone_at = ?1 + 1000 * expires"
        " WHERE gone_at IS NOT NULL AND gone_at > ?1 + 1000 * expires",
        (now_ms,),
    )
    rows = connection.execute(
        f"SELECT number, text, room, author, id FROM {FROM}"  # noqa: S608 - a constant
        " WHERE gone_at IS NOT NULL AND gone_at <= ?",
        (now_ms,),
    ).fetchall()
    for number, text, *_ in rows:
        _erase(connection, number, text)
    return [(room, (author, identity)) for _, _, room, author, identity in rows]


def _erase(connection: Connection, number: int, text: str | None) -> None:
    _unindex(connection, number, text)
    connection.execute(
        "UPDATE messages SET body = x'', text = NULL, gone_at = NULL, proof = NULL WHERE number = ?",
        (number,),
    )
    connection.execute("DELETE FROM reactions WHERE message = ?", (number,))
    connection.execute("DELETE FROM votes WHERE message = ?", (number,))


def forget(connection: Connection, room: int) -> None:
    """Erase all that was said in a room."""
    rows = connection.execute(
        "SELECT number, text FROM messages WHERE room = ?", (room,)
    ).fetchall()
    for number, text in rows:
        _unindex(connection, number, text)
    connection.execute("DELETE FROM events WHERE room = ?", (room,))
    connection.execute("DELETE FROM changes WHERE room = ?", (room,))


def forget_restored(connection: Connection, room: int, seq: int) -> None:
    """Erase what the backup alone says stood in a place."""
    row = connection.execute(
        "SELECT number, text FROM messages JOIN events USING (room, seq)"
        " WHERE room = ? AND seq = ? AND hash = x''",
        (room, seq),
    ).fetchone()
    if row is not None:
        _unindex(connection, *row)
        connection.execute("DELETE FROM events WHERE room = ? AND seq = ?", (room, seq))


def restore(connection: Connection, room: int, message: Message) -> bool:
    """Write a message that comes from the backup, and tell whether it was not here.

    What this device has stays as it has it: a message, also one that is deleted, and another one in
    that place.  An event that it could not open is what the backup says it was.
    """
    said = message.said
    if connection.execute(
        "SELECT 1 FROM events WHERE room = ?1 AND (author = ?2 AND id = ?3"
        " OR seq = ?4 AND author IS NOT NULL)",
        (room, said.author, said.id, said.seq),
    ).fetchone():
        return False
    connection.execute(
        "INSERT INTO events (room, seq, hash, author, id) VALUES (?, ?, x'', ?, ?)"
        " ON CONFLICT (room, seq) DO UPDATE SET author = excluded.author, id = excluded.id",
        (room, said.seq, said.author, said.id),
    )
    bare = replace(message, reactions={}, votes={})
    write(connection, room, None, bare)
    write(connection, room, bare, message)
    return True


def purge(connection: Connection) -> None:
    """Write the index anew if it knew words that are gone.

    Its ``optimize`` would not do: what is one piece already is left as it is, with the beginnings of
    deleted words by which its pages are found.
    Takes the longer the more there is to search.
    """
    if connection.execute("UPDATE profile SET stale = 0 WHERE stale").rowcount:
        connection.execute("INSERT INTO found (found) VALUES ('rebuild')")
