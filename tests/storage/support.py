"""What the storage tests share: databases in temporary directories, entries, a stopwatch of files."""

import sqlite3
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from lairchat.storage import log
from lairchat.storage.database import Database

T = TypeVar("T")

TABLE = "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, part BLOB) STRICT"


def command(number: int, at: int = 1_700_000_000_000) -> bytes:
    """Return a command id made at a time (ms)."""
    return at.to_bytes(6, "big") + number.to_bytes(10, "big")


def entry(room: int = 1, number: int = 0, **other: Any) -> log.Entry:
    """Return an event to append."""
    values: dict[str, Any] = {
        "room": room,
        "sender": 7,
        "device": 70,
        "kind": 1,
        "id": command(number),
        "body": b"body %d" % number,
        "at": 1_700_000_000_000 + number,
    }
    return log.Entry(**(values | other))


def ballast(path: Path, rows: int) -> None:
    """Make a database large; keys without an order are what takes a check its time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO login_attempts (key, failures, last_at, until)"
            " SELECT randomblob(32), i, i, i FROM n",
            (rows,),
        )
        connection.commit()


def names(connection: Connection) -> list[str]:
    """Return the names in the test's own table."""
    return [row[0] for row in connection.exec_driver_sql("SELECT name FROM thing ORDER BY id")]


def add(connection: Connection, name: str, part: bytes | None = None) -> None:
    """Put a name into the test's own table; it must be new."""
    connection.exec_driver_sql("INSERT INTO thing (name, part) VALUES (?, ?)", (name, part))


class Inline:
    """A database in memory or in a file, in this thread; for plain tests."""

    def __init__(self, url: str = "sqlite://") -> None:
        self.clock = Clock()
        self.database = Database.open(url, reactor=self.clock, inline=True)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change through the writer and return its result, or raise its error."""
        return self._outcome(self.database.call(change))

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query and return its result, or raise its error."""
        return self._outcome(self.database.read(query))

    def _outcome(self, deferred: Any) -> Any:
        self.database.pump()
        outcome: list[Any] = []
        deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure))
        (result,) = outcome
        if hasattr(result, "raiseException"):
            result.raiseException()
        return result

    def close(self) -> None:
        """Close the database."""
        self.database.close()


class DatabaseCase(TestCase):
    """A trial test with databases in files, on the real reactor; all are closed after it."""

    timeout = 60

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="lair-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "lair.db"
        self.threads_before = set(threading.enumerate())

    def open(self, **options: Any) -> Database:
        """Open the test's database in threads mode."""
        path = options.pop("path", self.path)
        database = Database.open(f"sqlite:///{path}", reactor=reactor, **options)
        self.addCleanup(database.close)
        return database

    async def with_table(self, **options: Any) -> Database:
        """Open the test's database with the test's own table in it."""
        database = self.open(**options)
        await database.call(lambda connection: connection.exec_driver_sql(TABLE) and None)
        return database

    def other(self) -> sqlite3.Connection:
        """Return a plain connection to the database, as another program would have it."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=5)
        self.addCleanup(connection.close)
        return connection

    def new_threads(self) -> set[threading.Thread]:
        """Return the threads that the test started and that still run."""
        return set(threading.enumerate()) - self.threads_before
