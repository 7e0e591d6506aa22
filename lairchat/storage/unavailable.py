"""Tells which of the database's errors mean "not now" and which mean "stop": both as refusals.

SQLite's result codes are at https://www.sqlite.org/rescode.html; the sqlite3 module carries the
extended one as ``sqlite_errorcode``.
"""

import sqlite3

from sqlalchemy.exc import DBAPIError

from lairchat.model.refusals import StoreBroken, StoreBusy, StoreFull, StoreReadOnly

StorageUnavailable = StoreFull | StoreReadOnly | StoreBusy | StoreBroken
"""What a unit gets when nothing of it was stored; works with ``isinstance``."""

BUSY_RETRY_SECONDS = 1.0
"""seconds: when to try again after somebody else held the database."""

# A full disk shows as these too: the WAL's index (-shm) cannot grow, or a temporary file cannot.
_FULL_IN_DISGUISE = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_GETTEMPPATH})

_BROKEN = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def driver_error(error: BaseException | None) -> BaseException | None:
    """Return the driver's own exception behind one that SQLAlchemy wrapped, or the error itself."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def storage_unavailable(error: BaseException | None) -> StorageUnavailable | None:
    """Return the refusal for an error of disk or file, or None if the error is about something else.

    A failed fsync is SQLITE_IOERR and with it StoreBroken: the kernel may have dropped the pages
    already, so a second fsync that succeeds would prove nothing (security.md, fact 3).
    """
    code = getattr(driver_error(error), "sqlite_errorcode", None)
    if not isinstance(code, int):
        return None
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or code in _FULL_IN_DISGUISE:
        return StoreFull()
    if primary == sqlite3.SQLITE_READONLY:
        return StoreReadOnly()
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreBusy(retry_after=BUSY_RETRY_SECONDS)
    if primary in _BROKEN:
        return StoreBroken()
    return None


def is_fatal(fault: StorageUnavailable) -> bool:
    """Say whether the process must not write any more: what is on disk is not known."""
    return isinstance(fault, StoreBroken)
