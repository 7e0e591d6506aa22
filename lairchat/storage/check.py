"""Finds damage in a database: in SQLite's structure, between tables, and in every room's log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lairchat.storage import log, sqlite
from lairchat.storage.halt import NEVER, Halt
from lairchat.storage.unavailable import driver_error

_SHOWN = 20  # complaints of one kind; a broken file can have millions


def problems(connection: Connection, halt: Halt = NEVER) -> Iterator[str]:
    """Yield one sentence per problem of an open database, the structure first; raises Halted."""
    run = connection.exec_driver_sql
    for (found,) in run(f"PRAGMA integrity_check({_SHOWN})"):
        if found != "ok":
            yield f"structure: {found}"
    for table, row, parent, _ in run("PRAGMA foreign_key_check").fetchmany(_SHOWN):
        yield f"table {table}, row {row}: what it refers to in {parent} is missing"
    for room in log.rooms(connection):
        halt.check()
        try:
            seq = log.verify(connection, room)
        except log.NoLogError:
            yield f"room {room}: events without a head"
        except (TypeError, ValueError) as error:  # a value that is not even of its type
            yield f"room {room}: {error}"
        else:
            if seq is not None:
                yield f"room {room}: the log is not what was stored, from event {seq}"


def check(path: Path, *, immutable: bool = False, halt: Halt = NEVER) -> list[str]:
    """Return the problems of a database file, also of one in use; empty when it is sound.

    immutable: nobody writes to the file.  Raises Halted.
    """
    found: list[str] = []
    engine = sqlite.checking_engine(path, immutable=immutable)
    try:
        with closing(engine.connect()) as connection, connection.begin():
            driver: Any = connection.connection.dbapi_connection
            with halt.interrupting(driver):
                found.extend(problems(connection, halt))
    except (DBAPIError, sqlite3.Error, UnicodeError) as error:
        # What could not even be read is the last thing to be said about it.
        found.append(f"structure: {driver_error(error)}")
    return found
