"""Backs up a database in use, proves backups sound, and puts them back.

A backup is a directory: ``database.sqlite``, the small files without which a restored server would be
a stranger (its identity), and ``manifest.json`` with each file's SHA-256, the rows of every table, and
the end of every room's log. It appears under its name only when complete.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lairchat.storage import sqlite
from lairchat.storage.check import check
from lairchat.storage.durable import create_private, put_in_place, sync_directory, sync_file
from lairchat.storage.halt import NEVER, Halt

DATABASE = "database.sqlite"
MANIFEST = "manifest.json"
FORMAT = 1
"""number: format of the manifest."""

_PRIVATE_DIRECTORY = 0o700
_UNFINISHED = ".{}.partial"
_BLOCK_BYTES = 1 << 20


class BackupError(Exception):
    """A backup cannot be made, is damaged, or cannot be put back; the text says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a database, as far as two copies can be compared.

    schema: revision. counts: rows of each table. rooms: last sequence number and chain hash (hex)
    of each room's log. chain: SHA-256 (hex) over all of those.
    """

    schema: str
    counts: dict[str, int]
    rooms: dict[str, tuple[int, str]]
    chain: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    created: ms since 1970. size: bytes. sha256: hex, of the database. files: the same of the others.
    """

    format: int
    created: int
    size: int
    sha256: str
    contents: Contents
    files: dict[str, str] = field(default_factory=dict)


def contents_of(path: Path, halt: Halt = NEVER) -> Contents:
    """Read what is in a database that nobody writes to; raises sqlite3.DatabaseError, Halted."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection, halt.interrupting(connection):
        (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' ORDER BY name"
        ).fetchall()
        counts = {}
        for (table,) in tables:
            halt.check()
            quoted = table.replace('"', '""')
            query = f'SELECT COUNT(*) FROM "{quoted}"'  # noqa: S608 - a name from the schema
            (counts[table],) = connection.execute(query).fetchone()
        rooms = {}
        chain = hashlib.sha256()
        for room, seq, digest in connection.execute(
            "SELECT room, seq, hash FROM log_heads ORDER BY room"
        ):
            rooms[str(room)] = (seq, digest.hex())
            chain.update(f"{room} {seq} {digest.hex()}\n".encode())
    return Contents(schema, counts, rooms, chain.hexdigest())


def create(
    database: Path,
    destination: Path,
    *,
    now: int,
    beside: Iterable[Path] = (),
    halt: Halt = NEVER,
) -> Manifest:
    """Back up a database, also one in use, to a new directory, and return its manifest.

    now: ms since 1970. beside: small files that belong to it, as far as they are there.
    Raises BackupError if the destination exists or the database cannot be read; OSError; Halted,
    and there is nothing of it.
    """
    if destination.exists():
        raise BackupError(f"{destination} exists; a backup is never written over")
    partial = destination.with_name(_UNFINISHED.format(destination.name))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(_PRIVATE_DIRECTORY)
    try:
        copy = partial / DATABASE
        create_private(copy)
        try:
            sqlite.copy_database(database, copy, halt)
            size, digest = copy.stat().st_size, digest_of(copy, halt)
            contents = contents_of(copy, halt)
            files = _copy_beside(beside, partial)
            manifest = Manifest(FORMAT, now, size, digest, contents, files)
        except (sqlite3.Error, TypeError, ValueError, AttributeError) as error:
            raise BackupError(f"{database} cannot be backed up: {error}") from error
        _write(partial / MANIFEST, manifest)
        sync_directory(partial)
        put_in_place(partial, destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def forget_unfinished(directory: Path) -> None:
    """Delete what backups have left that were killed; the caller knows that none is being made."""
    for path in directory.glob(_UNFINISHED.format("*")):
        shutil.rmtree(path, ignore_errors=True)


def _copy_beside(files: Iterable[Path], directory: Path) -> dict[str, str]:
    """Copy files that are there into a backup; return their SHA-256 by name."""
    copied = {}
    for file in files:
        if file.exists():
            copied[file.name] = _copy(file, directory / file.name)
    return copied


def _copy(source: Path, target: Path) -> str:
    """Copy a file to a private one that is not there yet; return its SHA-256."""
    create_private(target)
    shutil.copyfile(source, target)
    sync_file(target)
    return digest_of(target)


def verify(backup: Path, halt: Halt = NEVER) -> list[str]:
    """Return what is wrong with a backup, one sentence each; empty when it can be put back.

    Raises Halted.
    """
    try:
        manifest = read_manifest(backup)
    except BackupError as error:
        return [str(error)]
    copy = backup / DATABASE
    try:
        size = copy.stat().st_size
        if size != manifest.size:
            return [f"{copy} has {size} bytes, the manifest says {manifest.size}"]
        if digest_of(copy, halt) != manifest.sha256:
            return [f"{copy} is not the file that was backed up: its SHA-256 differs"]
        for name, digest in manifest.files.items():
            if digest_of(backup / name) != digest:
                return [f"{backup / name} is not the file that was backed up: its SHA-256 differs"]
    except OSError as error:
        return [f"{error.filename or copy} cannot be read: {error.strerror}"]
    # The file is what was written; now whether what was written was sound.
    found = check(copy, immutable=True, halt=halt)
    if not found and contents_of(copy, halt) != manifest.contents:
        found.append(f"{copy} does not hold what the manifest says")
    return found


class Restored(NamedTuple):
    """What was put back. aside: where the database is that was there before. files: names."""

    manifest: Manifest
    aside: Path | None
    files: list[str]


def in_the_way(database: Path) -> Path | None:
    """Return what is where a database is to be put back, or None."""
    # A write-ahead log of another database would be played onto the restored one.
    for beside in (database, *(Path(f"{database}{end}") for end in ("-wal", "-journal"))):
        if beside.exists() and beside.stat().st_size:
            return beside
    return None


def restore(
    backup: Path, database: Path, *, directory: Path | None = None, replace: bool = False
) -> Restored:
    """Put a sound backup back as a database that nobody has open.

    directory: where the files beside it go, as far as they are missing there.
    replace: move a database that is there aside, instead of refusing.
    Raises BackupError if the backup is damaged or something is where the database is to be; OSError.
    """
    blocking = in_the_way(database)
    if blocking is not None and not replace:
        raise BackupError(f"{blocking} is there; move it away first: mv {blocking} {blocking}.old")
    found = verify(backup)
    if found:
        by_hand = f"cp {backup / DATABASE} {database}"
        raise BackupError(f"{backup} is damaged: {found[0]}. If there is no better one: {by_hand}")
    manifest = read_manifest(backup)
    partial = database.with_name(f".{database.name}.restoring")
    partial.unlink(missing_ok=True)
    try:
        if _copy(backup / DATABASE, partial) != manifest.sha256:
            raise BackupError(f"{backup} changed while it was read, or the disk is failing")
        # Last, and only renames: a crash leaves the old database under one name or the other.
        aside = _move_aside(database) if blocking is not None else None
        put_in_place(partial, database)
    finally:
        partial.unlink(missing_ok=True)
    return Restored(manifest, aside, _restore_files(backup, manifest, directory))


def _move_aside(database: Path) -> Path:
    """Give a database and its logs other names, the same for all: they belong together."""
    _fold_log(database)
    number = 1
    while (aside := database.with_name(f"{database.name}.replaced-{number}")).exists():
        number += 1
    for end in ("-wal", "-shm", "-journal", ""):
        one = Path(f"{database}{end}")
        if one.exists():
            one.rename(f"{aside}{end}")
    sync_directory(database.parent)
    return aside


def _fold_log(database: Path) -> None:
    """Put what the write-ahead log holds into the database: a crash may part two files, not one.

    A database that is too damaged for that is moved as it is.
    """
    if database.exists() and database.stat().st_size:
        with suppress(sqlite3.Error), closing(sqlite.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _restore_files(backup: Path, manifest: Manifest, directory: Path | None) -> list[str]:
    """Put the files of a backup back that are missing; one that is there is never replaced."""
    restored: list[str] = []
    if directory is None:
        return restored
    for name, digest in manifest.files.items():
        partial = directory / f".{name}.restoring"
        partial.unlink(missing_ok=True)
        try:
            if (directory / name).exists():
                continue
            if _copy(backup / name, partial) != digest:
                raise BackupError(f"{backup} changed while it was read, or the disk is failing")
            put_in_place(partial, directory / name)
            restored.append(name)
        finally:
            partial.unlink(missing_ok=True)
    return restored


def newest(directory: Path) -> int:
    """Return when the newest backup in a directory was finished, ms since 1970; 0: there is none."""
    finished = [path.stat().st_mtime_ns for path in directory.glob(f"*/{MANIFEST}")]
    return max(finished, default=0) // 1_000_000


def digest_of(path: Path, halt: Halt = NEVER) -> str:
    """Return the SHA-256 of a file, as hex; raises OSError, Halted."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            halt.check()
            digest.update(block)
    return digest.hexdigest()


def read_manifest(backup: Path) -> Manifest:
    """Read a backup's manifest; raises BackupError if it is missing, damaged or of another format."""
    path = backup / MANIFEST
    try:
        stated = json.loads(path.read_bytes())
        sealed = stated.pop("seal")
        if sealed != _seal(stated):
            raise BackupError(f"{path} is damaged: its own SHA-256 differs")
        if stated["format"] != FORMAT:
            raise BackupError(f"{path} has format {stated['format']}, this version reads {FORMAT}")
        contents = stated.pop("contents")
        if any("/" in name or name in {"", ".", ".."} for name in stated.get("files", {})):
            raise BackupError(f"{path} names files outside of the backup")
        contents["rooms"] = {room: (seq, end) for room, (seq, end) in contents["rooms"].items()}
        return Manifest(contents=Contents(**contents), **stated)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"{path} is not a manifest") from error


def _write(path: Path, manifest: Manifest) -> None:
    stated = asdict(manifest)
    create_private(path)
    path.write_text(json.dumps({**stated, "seal": _seal(stated)}, indent=1) + "\n", "ascii")
    sync_file(path)


def _seal(stated: dict[str, Any]) -> str:
    """Return the SHA-256 over the manifest itself, so that a flipped bit in it is found too."""
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
