"""Looking for damage in a database, also one in use."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lairchat.storage import log
from lairchat.storage.check import check
from tests.storage.support import Inline, entry


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[Inline]:
    made = Inline(f"sqlite:///{tmp_path / 'lair.db'}")
    for room in (1, 2):
        made.write(lambda connection, room=room: log.create_head(connection, room))
    made.write(lambda connection: log.append(connection, [entry(n % 2 + 1, n) for n in range(300)]))
    yield made
    made.close()


@pytest.fixture
def path(inline: Inline, tmp_path: Path) -> Path:
    return tmp_path / "lair.db"


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_a_sound_database_in_use(path: Path) -> None:
    assert check(path) == []


def test_a_changed_event(path: Path) -> None:
    change(path, "UPDATE log_events SET sender = 1 WHERE room = 2 AND seq = 100")
    assert check(path) == ["room 2: the log is not what was stored, from event 100"]


def test_events_without_a_head(path: Path) -> None:
    change(path, "DELETE FROM log_heads WHERE room = 2")
    assert check(path) == ["room 2: events without a head"]


def test_rows_that_refer_to_nothing(path: Path) -> None:
    change(
        path,
        "CREATE TABLE child (room INTEGER REFERENCES log_heads (room))",
        "INSERT INTO child VALUES (99)",
    )
    assert check(path) == ["table child, row 1: what it refers to in log_heads is missing"]


def test_a_value_of_the_wrong_type(path: Path) -> None:
    """The log's tables are STRICT, so that a changed type is damage too."""
    change(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'log_heads'",
        "PRAGMA schema_version = 1000",
    )
    change(path, "UPDATE log_heads SET seq = 'many' WHERE room = 1")
    change(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'log_heads'",
        "PRAGMA schema_version = 2000",
    )
    found = check(path)
    assert any("log_heads" in sentence for sentence in found), found


def test_a_page_of_garbage(inline: Inline, path: Path) -> None:
    inline.close()
    content = bytearray(path.read_bytes())
    for page in range(8, 16):
        content[page * 4096 : page * 4096 + 2048] = b"\xff" * 2048
    path.write_bytes(content)
    found = check(path)
    assert found
    assert all(sentence.startswith(("structure: ", "room ")) for sentence in found)


def test_what_is_no_database_of_ours(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to have a header" * 20)
    assert check(tmp_path / "text") == ["structure: file is not a database"]
    assert check(tmp_path / "none") == ["structure: unable to open database file"]
    change(tmp_path / "other.db", "CREATE TABLE thing (id)")
    assert check(tmp_path / "other.db") == ["structure: no such table: log_events"]


def test_flipped_bits_are_found_or_harmless(inline: Inline, path: Path) -> None:
    """security.md, goals: byte flips in the database, each detected or harmless, none silent.

    The chain covers room, number, class, sender and body. What it does not cover yet (time, device,
    command id) is compared here so that the list of what may change silently stays this one.
    """
    inline.close()
    whole = path.read_bytes()

    def everything() -> list[tuple[object, ...]]:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return connection.execute(
                "SELECT room, seq, sender, kind, messages, hash, body, digest FROM log_events"
                " ORDER BY room, seq"
            ).fetchall()
        finally:
            connection.close()

    expected = everything()
    silent = []
    for number in range(100):
        place = number * (len(whole) // 100) + number * 31 % 4_096
        content = bytearray(whole)
        content[place % len(whole)] ^= 1 << number % 8
        path.write_bytes(content)
        if not check(path, immutable=True) and everything() != expected:
            silent.append(place)
    assert silent == []
