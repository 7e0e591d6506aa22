"""What is SQLite's own: URLs, connections, copies."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from lairchat.storage import migrate, sqlite
from lairchat.storage.durable import create_private


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///lair.db", Path("lair.db")),
        ("sqlite:////var/lib/lair/lair.db", Path("/var/lib/lair/lair.db")),
        ("sqlite+pysqlite:////with space/a.db", Path("/with space/a.db")),
    ],
)
def test_urls(url: str, path: Path | None) -> None:
    assert sqlite.sqlite_path(url) == path


def test_other_databases_are_not_supported_yet() -> None:
    with pytest.raises(ValueError, match="mysql"):
        sqlite.sqlite_path("mysql://localhost/lair")


@pytest.mark.parametrize("name", ["a b%20c?d#e.db", "caf\u00e9.db"])
def test_names_with_signs_that_mean_something_in_a_uri(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    migrate.prepare(path)
    with sqlite.writing_engine(path).connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM log_heads").scalar() == 0
    connection_ = sqlite.connect(path)
    assert connection_.execute("PRAGMA trusted_schema").fetchone() == (0,)
    connection_.close()
    assert {found.name for found in tmp_path.iterdir()} == {name}


def test_whoever_may_write_has_the_lock_before_the_first_read(tmp_path: Path) -> None:
    """Else another process could write between its read and its write, and make it fail half way."""
    path = tmp_path / "lair.db"
    migrate.prepare(path)
    other = sqlite.connect(path, busy_seconds=0)
    with sqlite.writing_engine(path).connect() as connection, connection.begin():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_errors_do_not_say_what_was_to_be_written() -> None:
    """They are logged when nobody expected them."""
    with sqlite.writing_engine(None).connect() as connection:
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("INSERT INTO nowhere VALUES (:hash)"), {"hash": "$argon2id$"})
    assert "argon2id" not in str(caught.value)


def test_bytes_are_stored_as_they_are_without_asking_how() -> None:
    """The adapter of storage/sqlite.py; it only saves time, but it is there for every connection."""
    adapter = sqlite3.adapters[bytes, sqlite3.PrepareProtocol]
    value = bytes(range(256))
    assert adapter(value) is value
    with sqlite3.connect(":memory:") as connection:
        (stored, kind) = connection.execute("SELECT ?1, typeof(?1)", (value,)).fetchone()
    connection.close()
    assert (stored, kind) == (value, "blob")


def test_nothing_makes_a_file_that_is_not_there(tmp_path: Path) -> None:
    """SQLite would make it readable by everybody."""
    path = tmp_path / "none.db"
    with pytest.raises(sqlite3.OperationalError):
        sqlite.connect(path)
    for engine in (sqlite.writing_engine(path), sqlite.checking_engine(path)):
        with pytest.raises(Exception, match="unable to open"):
            engine.connect()
    assert not path.exists()


def test_a_copy_is_one_snapshot_of_a_database_in_use(tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    writer = sqlite3.connect(source, isolation_level=None, check_same_thread=False)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
    writer.executemany("INSERT INTO pair VALUES (?, ?)", [(0, 0)] * 500)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer.execute("UPDATE pair SET a = ?, b = ?", (number, number))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            copy = tmp_path / f"copy{number}.db"
            create_private(copy)
            sqlite.copy_database(source, copy)
            found = sqlite3.connect(copy)
            assert found.execute(
                "SELECT COUNT(DISTINCT a), COUNT(DISTINCT b) FROM pair"
            ).fetchone() == (1, 1)
            assert found.execute("SELECT a - b FROM pair LIMIT 1").fetchone() == (0,)
            assert found.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            found.close()
    finally:
        stop.set()
        thread.join()
        writer.close()


def test_a_checking_engine_leaves_the_journal_mode_alone(tmp_path: Path) -> None:
    path = tmp_path / "lair.db"
    migrate.prepare(path)
    before = path.read_bytes()
    for immutable in (False, True):
        with sqlite.checking_engine(path, immutable=immutable).connect() as connection:
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM log_heads").scalar() == 0
    assert path.read_bytes() == before
