"""The durable log: dense, chained, purged without a gap (architecture.md, decision 1; e2ee.md)."""

import hashlib
import sqlite3
import struct
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from lairchat.model.events import EventClass
from lairchat.storage import log
from lairchat.storage.statements import Driver, driver_of
from tests.storage.support import Inline, command, entry
from tests.storage.test_statements import Portable


@pytest.fixture
def inline() -> Iterator[Inline]:
    made = Inline()
    yield made
    made.close()


def with_rooms(inline: Inline, *rooms: int) -> None:
    for room in rooms:
        inline.write(lambda connection, room=room: log.create_head(connection, room))


def append(inline: Inline, *entries: log.Entry) -> list[int]:
    return inline.write(lambda connection: log.append(connection, entries))


def head(inline: Inline, room: int = 1) -> log.Head:
    return inline.read(lambda connection: log.heads(connection, [room]))[room]


def verify(inline: Inline, room: int = 1) -> int | None:
    return inline.read(lambda connection: log.verify(connection, room))


def seqs(inline: Inline, **bounds: int) -> list[int]:
    page = inline.read(lambda connection: log.page(connection, 1, **({"limit": 99} | bounds)))
    return [event.seq for event in page]


def spoil(inline: Inline, sql: str, *values: object) -> None:
    inline.write(lambda connection: driver_of(connection).change(sql, values))


def test_a_new_room_is_empty(inline: Inline) -> None:
    with_rooms(inline, 1)
    assert head(inline) == (0, log.genesis(1), 0)
    assert seqs(inline) == []
    assert verify(inline) is None
    with pytest.raises(sqlite3.IntegrityError):
        with_rooms(inline, 1)


def test_the_chain_is_the_documents(inline: Inline) -> None:
    """e2ee.md: h_n = H(h_(n-1), seq, class, sender, H(body))."""
    with_rooms(inline, 5)
    append(inline, entry(5, sender=9, kind=2, body=b"x"))
    start = hashlib.sha256(b"lair/1 log" + struct.pack(">Q", 5)).digest()
    body = hashlib.sha256(b"x").digest()
    chained = hashlib.sha256(start + struct.pack(">QBQ", 1, 2, 9) + body).digest()
    assert head(inline, 5).hash == chained
    assert log.link(log.genesis(5), 1, 2, 9, body) == chained


@pytest.mark.parametrize("count", [1, 2, 3, 4, 40, 1_100])
def test_groups_of_any_size_get_dense_numbers_per_room(inline: Inline, count: int) -> None:
    rooms = range(1, 8)
    with_rooms(inline, *rooms)
    entries = [entry(number % 7 + 1, number) for number in range(count)]
    expected = [number // 7 + 1 for number in range(count)]
    assert append(inline, *entries) == expected
    assert append(inline, *entries[:1]) == [expected[(count - 1) // 7 * 7] + 1]
    stored = inline.read(lambda connection: log.page(connection, 1, limit=2_000))
    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    assert stored[0][:8] == (1, 1, entries[0].at, 7, 70, 1, command(0), b"body 0")
    assert stored[0].digest is None
    for room in rooms:
        assert verify(inline, room) is None


def test_one_group_makes_the_chain_that_single_events_make(inline: Inline) -> None:
    with_rooms(inline, 1)
    entries = [entry(1, number) for number in range(50)]
    append(inline, *entries)
    other = Inline()
    with_rooms(other, 1)
    for single in entries:
        append(other, single)
    assert head(inline) == head(other)
    other.close()


def test_appending_nothing(inline: Inline) -> None:
    assert append(inline) == []


def test_appending_to_a_room_without_a_log_writes_nothing(inline: Inline) -> None:
    with_rooms(inline, 1)
    for entries in ([entry(2)], [entry(1), entry(2)], [entry(1)] * 5 + [entry(3)]):
        with pytest.raises(log.NoLogError):
            append(inline, *entries)
    assert seqs(inline) == []


@pytest.mark.parametrize("kind", [EventClass.EPHEMERAL, 0, 99])
def test_what_is_never_stored_is_not_stored(inline: Inline, kind: int) -> None:
    with_rooms(inline, 1)
    with pytest.raises(ValueError, match="never stored"):
        append(inline, entry(kind=kind))


def test_heads_of_many_rooms(inline: Inline) -> None:
    rooms = range(1, 1_300)
    inline.write(lambda connection: [log.create_head(connection, room) for room in rooms] and None)
    append(inline, *[entry(room) for room in (1, 700, 1_299)])
    for wanted in ([1], [1, 2, 700], [1, 700, 1_299, 5_000], [*rooms, 5_000], []):
        found = inline.read(lambda connection, wanted=wanted: log.heads(connection, wanted))
        assert found.keys() == set(wanted) & set(rooms)
        for room, end in found.items():
            assert (end.seq, end.messages) == ((1, 1) if room in {1, 700, 1_299} else (0, 0))
            assert len(end.hash) == 32
    assert inline.read(log.rooms) == list(rooms)


def test_heads_and_appending_where_it_is_not_sqlite(inline: Inline) -> None:
    """The plain statements that other databases get."""
    with_rooms(inline, *range(1, 11))

    def portable(connection: Connection) -> list[int]:
        connection.info[Driver] = Portable(connection)
        return log.append(connection, [entry(n % 10 + 1, n) for n in range(25)])

    assert inline.write(portable) == [n // 10 + 1 for n in range(25)]
    assert head(inline, 3).seq == 3
    assert verify(inline, 3) is None


def test_pages(inline: Inline) -> None:
    with_rooms(inline, 1)
    append(inline, *[entry(1, number) for number in range(10)])
    assert seqs(inline, limit=3) == [8, 9, 10]
    assert seqs(inline, before=8, limit=3) == [5, 6, 7]
    assert seqs(inline, before=2, limit=3) == [1]
    assert seqs(inline, before=1) == []
    assert seqs(inline, after=0, limit=3) == [1, 2, 3]
    assert seqs(inline, after=8) == [9, 10]
    assert seqs(inline, after=10) == []
    assert seqs(inline, after=2, before=9, limit=3) == [3, 4, 5]
    assert seqs(inline, after=2, before=4) == [3]
    assert seqs(inline, limit=0) == []


def test_purged_bodies_are_gone_and_the_chain_stays(inline: Inline) -> None:
    with_rooms(inline, 1)
    append(inline, *[entry(1, number) for number in range(700)])
    before = head(inline)
    purge = lambda wanted: inline.write(lambda connection: log.purge(connection, 1, wanted))  # noqa: E731
    assert purge([2]) == 1
    assert purge([2, 3, 9_999]) == 1
    assert purge(range(600)) == 599 - 2
    assert purge([]) == 0
    page = inline.read(lambda connection: log.page(connection, 1, after=0, limit=700))
    assert [event.seq for event in page] == list(range(1, 701))
    assert [event.body is None for event in page] == [event.seq < 600 for event in page]
    assert head(inline) == before
    assert verify(inline) is None


DAMAGES = [
    ("UPDATE log_events SET body = x'00' WHERE seq = 3", 3),
    ("UPDATE log_events SET body = NULL WHERE seq = 3", 3),
    ("UPDATE log_events SET body = NULL, digest = zeroblob(32) WHERE seq = 3", 3),
    ("UPDATE log_events SET sender = 8 WHERE seq = 3", 3),
    ("UPDATE log_events SET sender = -8 WHERE seq = 3", 3),
    ("UPDATE log_events SET kind = 2 WHERE seq = 3", 3),
    ("UPDATE log_events SET kind = 5000 WHERE seq = 3", 3),
    ("UPDATE log_events SET messages = 7 WHERE seq = 3", 3),
    ("UPDATE log_events SET hash = zeroblob(32) WHERE seq = 3", 3),
    ("UPDATE log_events SET seq = 99 WHERE seq = 3", 3),
    ("DELETE FROM log_events WHERE seq = 3", 3),
    ("DELETE FROM log_events WHERE seq = 5", 4),
    ("DELETE FROM log_events", 1),
    ("UPDATE log_heads SET seq = 4", 5),
    ("UPDATE log_heads SET seq = 6", 5),
    ("UPDATE log_heads SET messages = 4", 5),
    ("UPDATE log_heads SET hash = zeroblob(32)", 5),
    ("INSERT INTO log_events SELECT 1, 6, at, sender, device, kind, 6, id, hash, body, digest FROM log_events WHERE seq = 5", 6),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "seq"), DAMAGES, ids=[sql for sql, _ in DAMAGES])
def test_verify_finds(inline: Inline, sql: str, seq: int) -> None:
    with_rooms(inline, 1)
    append(inline, *[entry(1, number) for number in range(5)])
    assert verify(inline) is None
    spoil(inline, sql)
    assert verify(inline) == seq


def test_logs_swapped_between_rooms_do_not_verify(inline: Inline) -> None:
    with_rooms(inline, 1, 2)
    append(inline, *[entry(room, number) for number in range(5) for room in (1, 2)])
    for table in ("log_events", "log_heads"):
        for old, new in ((1, 3), (2, 1), (3, 2)):
            spoil(inline, f"UPDATE {table} SET room = {new} WHERE room = {old}")
    assert (verify(inline, 1), verify(inline, 2)) == (1, 1)


def test_only_rooms_with_a_log_are_verified(inline: Inline) -> None:
    with pytest.raises(log.NoLogError):
        verify(inline)
    with_rooms(inline, 1)
    append(inline, entry())
    spoil(inline, "DELETE FROM log_heads")
    assert inline.read(log.rooms) == [1]


def test_the_first_event_behind_the_head_is_the_one_that_is_wrong(inline: Inline) -> None:
    """As sound a chain as any, but nobody was ever told of it."""
    with_rooms(inline, 1)
    append(inline, entry(1, 1))
    seq, digest, messages = head(inline)
    append(inline, entry(1, 2), entry(1, 3), entry(1, 4))
    assert verify(inline) is None
    inline.write(
        lambda connection: driver_of(connection).change(
            "UPDATE log_heads SET seq = ?, hash = ?, messages = ?", (seq, digest, messages)
        )
    )
    assert verify(inline) == 2
