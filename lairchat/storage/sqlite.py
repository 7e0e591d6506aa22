"""Everything that is SQLite's own: how its connections are set up, and why so.

The choices are set on every connection, because SQLite keeps most of them per connection.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.pool import NullPool

from lairchat.storage.durable import sync_file
from lairchat.storage.halt import NEVER, Halt

APPLICATION_ID = 0x4C414952
"""number: "LAIR" in the file's header, so that another program's database is not taken for ours."""

BUSY_SECONDS = 5.0
"""seconds: how long a connection waits for a lock that another process holds."""

# The driver asks every value of another type than int, float, str and bytearray how it is to be
# stored, and for bytes the answer is found last, in an exception; a message has five. This answers.
sqlite3.register_adapter(bytes, bytes)

_STATEMENTS_CACHED = 512  # the log alone has about 60 texts; the module's own default is 128

_SERVING = (
    # Readers never wait for the writer nor the writer for them; one fsync per commit.
    "journal_mode = WAL",
    # The WAL is synced before a commit returns: acknowledged means durable (decision 2).
    # NORMAL would lose the last commits when the power goes.
    "synchronous = FULL",
    # Checkpoints come from another connection (checkpoints.py): done by the committing one they
    # are the p99 of large groups.
    "wal_autocheckpoint = 0",
    # Off by default in SQLite, for history's sake.
    "foreign_keys = ON",
)

_GUARDS = (
    # Deleted and purged content is overwritten with zeros instead of left in free pages.
    "secure_delete = ON",
    # Corrupt pages are found when read, before their contents are believed.
    "cell_size_check = ON",
    # A schema that somebody tampered with cannot call functions with side effects.
    "trusted_schema = OFF",
    # Sorting and statement journals stay in memory: no other file to fill, to leak or to fsync.
    "temp_store = MEMORY",
    # No mmap: an I/O error in mapped memory is a signal that kills the process, not an error
    # code, and a stray pointer could write into the file. The page cache does the same work.
    "mmap_size = 0",
)

_WRITER_CACHE_KIB = 32 * 1024  # tail pages of many rooms' logs; a miss is a read inside a commit
_READER_CACHE_KIB = 8 * 1024
_PAGES_A_STEP = 1_024  # of 4 KiB: some milliseconds of a copy
_PAGES_UNSYNCED = 16 * _PAGES_A_STEP


def sqlite_path(url: str) -> Path | None:
    """Return the file that a database URL names, or None for a database in memory.

    Raises ValueError for anything but SQLite.
    """
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(f"only SQLite is supported so far, not {parsed.get_backend_name()}")
    name = parsed.database
    return None if name in {None, "", ":memory:"} else Path(str(name))


def _engine(url: sqlalchemy.URL, sql: str, pragmas: Iterable[str], busy: float) -> Engine:
    # isolation_level None: the driver begins nothing by itself, so that the BEGIN below is the
    # only one and DDL is part of the transaction (facts.md). NullPool: each thread keeps its own
    # connection, so there is nothing to pool, and closing means closing.
    engine = sqlalchemy.create_engine(
        url,
        poolclass=NullPool,
        # What nobody expected is logged, and must not bring names, hashes and topics along.
        hide_parameters=True,
        connect_args={
            "isolation_level": None,
            "timeout": busy,
            "check_same_thread": False,
            "cached_statements": _STATEMENTS_CACHED,
        },
    )
    settings = [f"PRAGMA {pragma}" for pragma in pragmas]

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        for setting in settings:
            connection.execute(setting)

    event.listen(engine, "begin", begin)
    engine.update_execution_options(lairchat_begin=sql)
    return engine


def begin(connection: sqlalchemy.Connection) -> None:
    """Begin a transaction in the engine's way, unless the driver has begun it (alchimia_shim.py)."""
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        driver.execute(connection.get_execution_options()["lairchat_begin"])


def _url(path: Path | None, **options: str) -> sqlalchemy.URL:
    if path is None:
        return sqlalchemy.URL.create("sqlite")
    # As a URI, so that SQLite never makes a file that is not there: it would be world-readable.
    return sqlalchemy.URL.create(
        "sqlite", database=path.absolute().as_uri(), query={"uri": "true", "mode": "rw", **options}
    )


def writing_engine(path: Path | None, *, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine whose transactions may write; None: in memory.

    BEGIN IMMEDIATE takes the write lock at the start: a transaction that reads first and then
    writes could otherwise fail half way, when another process wrote in between.
    """
    pragmas = (*_SERVING, *_GUARDS, f"cache_size = -{_WRITER_CACHE_KIB}")
    return _engine(_url(path), "BEGIN IMMEDIATE", pragmas, busy_seconds)


def reading_engine(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return an engine whose transactions see one snapshot and cannot write."""
    pragmas = (*_SERVING, *_GUARDS, f"cache_size = -{_READER_CACHE_KIB}", "query_only = ON")
    return _engine(_url(path), "BEGIN", pragmas, busy_seconds)


def migrating_engine(path: Path | None) -> Engine:
    """Return an engine for a copy that nobody else has: one file, no write-ahead log.

    Foreign keys are off, because a migration may replace a table that others refer to; the result
    is checked as a whole.
    """
    pragmas = ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = OFF", *_GUARDS)
    return _engine(_url(path), "BEGIN IMMEDIATE", pragmas, BUSY_SECONDS)


def checking_engine(path: Path, *, immutable: bool = False) -> Engine:
    """Return an engine for looking at a file without changing its journal mode or content.

    immutable: nobody writes to it, so that no lock and no file beside it is needed.
    """
    options = {"mode": "ro", "immutable": "1"} if immutable else {}
    return _engine(_url(path, **options), "BEGIN", (*_GUARDS, "query_only = ON"), BUSY_SECONDS)


def connect(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open an existing file without SQLAlchemy, for what happens before or beside the server.

    Never makes one. Recovers the write-ahead log of a process that died.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=busy_seconds
    )
    for pragma in _GUARDS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def copy_database(source: Path, target: Path, halt: Halt = NEVER) -> None:
    """Copy a database, also one in use, into an existing empty file, and sync that.

    A single snapshot, whatever is written meanwhile: the transaction around SQLite's backup API
    holds it. Without it the small steps, between which the copy can be given up, would start over
    at every commit, and under load never end.
    The copy is one file, without write-ahead log.  Raises Halted, and what there is of it is nothing.
    """
    behind = 0

    def stepped(_status: int, left: int, total: int) -> None:
        nonlocal behind
        halt.check()
        # Now and then, so that the last one has little to wait for.
        if total - left - behind >= _PAGES_UNSYNCED:
            behind = total - left
            sync_file(target)

    with closing(connect(source)) as old, closing(connect(target)) as new:
        # Only the fsyncs of the file count: an unfinished copy is thrown away.
        new.execute("PRAGMA synchronous = OFF")
        old.execute("BEGIN")
        old.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()  # which begins to read
        old.backup(new, pages=_PAGES_A_STEP, progress=stepped)
        new.execute("PRAGMA journal_mode = DELETE")
    sync_file(target)
