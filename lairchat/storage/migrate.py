"""Makes a database, or brings an old one to this version's schema, so that no crash leaves a half one.

A new database is built beside its name and renamed. An old one is backed up, then copied, the copy
migrated and checked, synced, and renamed over the old: kill -9 at any point leaves the old database
or the new one. Nobody else may have it open meanwhile; the data directory's lock sees to that, and
a process that ignores the lock makes the migration give up, or loses what it writes meanwhile.
"""

import errno
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lairchat.model.faults import StartBroken, StartDisk, StartPermission, StartSchema
from lairchat.model.refusals import StoreBusy, StoreFull
from lairchat.storage import backup, sqlite
from lairchat.storage.durable import create_private, put_in_place, sync_file
from lairchat.storage.unavailable import driver_error, storage_unavailable

_HERE = Path(__file__).parent / "migrations"

VERSIONS = _HERE / "versions"
"""The directory of the steps."""

_STEP = re.compile(r"\d{4}_\w+")


class Prepared(NamedTuple):
    """What was done before a database could be opened.

    schema: its revision now. created: it was not there. migrated_from: its revision before, if it
    was older. backup: the backup made before migrating.
    """

    schema: str
    created: bool = False
    migrated_from: str | None = None
    backup: Path | None = None


def number(revision: str) -> str:
    """Return what people call a schema: of ``0003_operators`` the number."""
    return revision.partition("_")[0]


def revisions(versions: Path = VERSIONS) -> list[str]:
    """Return all revisions, oldest first: the stems of the files, without importing Alembic."""
    return sorted(path.stem for path in versions.glob("*.py") if _STEP.fullmatch(path.stem))


def prepare(
    path: Path,
    *,
    busy_seconds: float = sqlite.BUSY_SECONDS,
    versions: Path = VERSIONS,
    now: int = 0,
) -> Prepared:
    """Make the database if it is not there, migrate it if it is old, and say what was done.

    now: ms since 1970, for the backup's manifest.
    Raises StartSchema if it is newer than this code, StartBroken if it is damaged or another
    program's, StartPermission, StartDisk, or StoreBusy if another process has it open.
    """
    known = revisions(versions)
    with _explained(path):
        _remove_leftovers(path)
        found = _revision_of(path, busy_seconds)
        if found is None:
            _create(path, versions)
            return Prepared(known[-1], created=True)
        _make_private(path)
        if found not in known:
            raise StartSchema(
                path=path.name,
                found=number(found),
                known=number(known[-1]),
                backup=_way_back(path, known),
            )
        if found == known[-1]:
            return Prepared(found)
        kept = _migrate(path, known, versions, busy_seconds, now)
        return Prepared(known[-1], migrated_from=found, backup=kept)


def revision_of(path: Path, *, busy_seconds: float = sqlite.BUSY_SECONDS) -> str | None:
    """Return the revision of a database, or None if there is none yet; raises as prepare."""
    with _explained(path):
        return _revision_of(path, busy_seconds)


def check_writable(path: Path, *, busy_seconds: float = sqlite.BUSY_SECONDS) -> None:
    """Find out now, not at the first message, that a database cannot be written; raises as prepare."""
    with _explained(path), closing(sqlite.connect(path, busy_seconds=busy_seconds)) as connection:
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise StartPermission(path=path, why="its file system cannot have a write-ahead log")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def fill(connection: Connection) -> None:
    """Give a database in memory, just connected, this version's schema."""
    driver: Any = connection.connection.dbapi_connection
    driver.deserialize(_empty())


@cache
def _empty() -> bytes:
    # Migrating takes 30 ms, copying the result nothing: tests open one database each.
    engine = sqlite.migrating_engine(None)
    with closing(engine.connect()) as connection:
        _upgrade(connection, VERSIONS)
        driver: Any = connection.connection.dbapi_connection
        image: bytes = driver.serialize()
        return image


def _upgrade(connection: Connection, versions: Path) -> None:
    # Imported here: a start with nothing to migrate does not pay 100 ms and 10 MB for Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("path_separator", "newline")  # so that a path may have any other sign
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")


def _upgrade_file(path: Path, versions: Path) -> None:
    engine = sqlite.migrating_engine(path)
    with closing(engine.connect()) as connection:
        _upgrade(connection, versions)
        run = connection.exec_driver_sql
        dangling = run("PRAGMA foreign_key_check").fetchmany(1)
        structure = run("PRAGMA quick_check(1)").scalar()
    if dangling or structure != "ok":
        why = (
            f"row {dangling[0][1]} of {dangling[0][0]} refers to nothing" if dangling else structure
        )
        raise StartBroken(path=path, why=why)
    sync_file(path)


def _create(path: Path, versions: Path) -> None:
    partial = _beside(path, "new")
    create_private(partial)
    _upgrade_file(partial, versions)
    put_in_place(partial, path)


def _migrate(
    path: Path, known: Sequence[str], versions: Path, busy_seconds: float, now: int
) -> Path:
    with closing(sqlite.connect(path, busy_seconds=busy_seconds)) as old:
        # Leaving WAL mode needs the database for itself, so this also proves that nobody has it
        # open; and it removes the write-ahead log, which SQLite would otherwise play onto the
        # new file. A crash right after it harms nobody: opening turns WAL on again.
        if old.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
            raise StoreBusy(retry_after=busy_seconds)
        # Others may still read, but nobody writes what the copy would lack.
        old.execute("BEGIN IMMEDIATE")
        kept = _back_up(path, known[-1], now)
        partial = _beside(path, "migrating")
        create_private(partial)
        sqlite.copy_database(path, partial)
        _upgrade_file(partial, versions)
        put_in_place(partial, path)
    return kept


def _back_up(path: Path, revision: str, now: int) -> Path:
    name = f"{path.name}.before-{number(revision)}"
    fresh, again = path.with_name(name), 1
    while fresh.exists():
        # A start that was killed, or fails each time, must not fill the disk with equal backups.
        if _same(path, fresh):
            return fresh
        again += 1
        fresh = path.with_name(f"{name}-{again}")
    backup.create(path, fresh, now=now)
    return fresh


def _way_back(path: Path, known: Sequence[str]) -> str:
    """Return the name of the newest backup that this version can use; NAME where none is beside."""
    found: list[tuple[int, str]] = []
    for directory in (path.parent, path.parent / "backups"):
        for kept in directory.glob(f"*/{backup.MANIFEST}"):
            try:
                manifest = backup.read_manifest(kept.parent)
            except backup.BackupError:
                continue
            if manifest.contents.schema in known:
                found.append((manifest.created, kept.parent.name))
    return max(found, default=(0, "NAME"))[1]


def _same(path: Path, kept: Path) -> bool:
    copy = path.with_name(f".{path.name}.compared")
    copy.unlink(missing_ok=True)
    try:
        create_private(copy)
        sqlite.copy_database(path, copy)
        return backup.digest_of(copy) == backup.read_manifest(kept).sha256
    except backup.BackupError:
        return False
    finally:
        copy.unlink(missing_ok=True)


def _revision_of(path: Path, busy_seconds: float) -> str | None:
    """Return the revision of a database, or None if there is none yet (no file, or an empty one)."""
    if not path.exists() or not path.stat().st_size:
        for log in (Path(f"{path}-wal"), Path(f"{path}-journal")):
            if log.exists() and log.stat().st_size:
                # It may hold acknowledged messages; a new database would be given them, or lose them.
                raise StartBroken(path=path, why=f"{log.name} is there without its database")
        return None
    with closing(sqlite.connect(path, busy_seconds=busy_seconds)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if not tables:
            return None
        if application != sqlite.APPLICATION_ID:
            raise StartBroken(path=path, why="it is another program's database")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise StartBroken(path=path, why="it does not say which schema it has")
    return str(row[0])


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


def _remove_leftovers(path: Path) -> None:
    for what in ("new", "migrating", "compared"):
        for end in ("", "-journal", "-wal", "-shm"):
            Path(f"{_beside(path, what)}{end}").unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:  # somebody copied it with the usual umask; others must not read it
        path.chmod(mode & 0o700)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file at the start into a refusal with a next step."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StartDisk(path=path.parent) from error
        raise StartPermission(path=path, why=error.strerror or str(error)) from error
    except backup.BackupError as error:
        raise StartBroken(path=path, why=error.__cause__ or error) from error
    except (sqlite3.Error, DBAPIError) as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> Exception:
    fault = storage_unavailable(error)
    if isinstance(fault, StoreFull):
        return StartDisk(path=path.parent)
    if isinstance(fault, StoreBusy):
        return fault
    code = getattr(driver_error(error), "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return StartPermission(path=path, why=str(driver_error(error)))
    return StartBroken(path=path, why=str(driver_error(error)))
