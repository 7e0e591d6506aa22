"""Which errors of the database mean "not now", and which mean "stop"."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from lairchat.model.refusals import StoreBroken, StoreBusy, StoreFull, StoreReadOnly
from lairchat.storage.unavailable import (
    StorageUnavailable,
    driver_error,
    is_fatal,
    storage_unavailable,
)


def error(code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("as SQLite says it")
    made.sqlite_errorcode = code
    return made


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFull),
        (sqlite3.SQLITE_READONLY, StoreReadOnly),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreReadOnly),
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_LOCKED, StoreBusy),
        (sqlite3.SQLITE_IOERR, StoreBroken),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreBroken),
        (sqlite3.SQLITE_IOERR_WRITE, StoreBroken),
        (sqlite3.SQLITE_CORRUPT, StoreBroken),
        (sqlite3.SQLITE_NOTADB, StoreBroken),
    ],
)
def test_codes_and_their_extended_forms(code: int, kind: type) -> None:
    for found in (error(code), OperationalError("statement", {}, error(code))):
        fault = storage_unavailable(found)
        assert type(fault) is kind
        assert isinstance(fault, StorageUnavailable)
        assert is_fatal(fault) is (kind is StoreBroken)


def test_busy_says_when_to_try_again() -> None:
    fault = storage_unavailable(error(sqlite3.SQLITE_BUSY))
    assert fault is not None
    assert fault.retry_after == 1.0


@pytest.mark.parametrize(
    "found",
    [
        error(sqlite3.SQLITE_CONSTRAINT),
        error(sqlite3.SQLITE_ERROR),
        sqlite3.ProgrammingError("raised by the module itself, without a code"),
        OperationalError("statement", {}, None),  # type: ignore[arg-type]
        LookupError("nothing to do with it"),
    ],
)
def test_other_errors_are_somebodys_fault(found: Exception) -> None:
    assert storage_unavailable(found) is None


def test_the_drivers_error_is_found_behind_sqlalchemys() -> None:
    inner = error(sqlite3.SQLITE_FULL)
    assert driver_error(OperationalError("statement", {}, inner)) is inner
    assert driver_error(inner) is inner
