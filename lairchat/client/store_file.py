"""Opens a profile's store: makes it the first time, brings an old one to this version's tables.

A new store is built beside its name and renamed.  An old one is copied, migrated in one transaction
and checked before that is committed: a crash at any point leaves the old store or the new one.  The
copy is deleted then: it holds keys that the store will have erased.
"""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lairchat.client.profile import Profile, require_private
from lairchat.client.store_database import (
    Connection,
    Database,
    check_sound,
    connect,
    explained,
    set_up,
)
from lairchat.client.store_disk import (
    STORE,
    create_private,
    explained_disk,
    make_private,
    put_in_place,
    sync_file,
)
from lairchat.client.store_schema import STEPS
from lairchat.mls.errors import MisuseError
from lairchat.model.faults import ProfileDamaged, ProfileNewer
from lairchat.trust.secret import SecretBytes

Steps = Sequence[Sequence[str]]


def open_database(profile: Profile, master: SecretBytes, steps: Steps = STEPS) -> Database:
    """Return the store of a profile that this process has locked.

    Raises ProfileDamaged if it does not open, ProfileBroken if others may look into its directory,
    ProfileNewer, ProfileLocked, ProfileFull or ProfileDisk.
    """
    if not profile.locked:
        raise MisuseError("a store is opened by who holds its profile's lock")
    require_private(profile.directory)
    path = profile.directory / STORE
    with explained_disk(path):
        _remove_leftovers(path)
        if not path.exists():
            # The log of a store that is gone would be taken for this one's.
            path.with_name(f"{STORE}-wal").unlink(missing_ok=True)
            _create(profile, path, master, steps)
        make_private(path)
        make_private(path.with_name(f"{STORE}-wal"))
    found = _version(path, master)
    if found > len(steps):
        raise ProfileNewer(path=path, found=found, known=len(steps))
    copy = path.with_name(f"{STORE}.before")
    if found < len(steps):
        _copy(path, copy)
        _migrate(path, master, steps, found)
    with explained_disk(path):
        copy.unlink(missing_ok=True)
    connection = _connect(path, master)
    try:
        with explained(path):
            _check_owner(path, connection, profile)
    except BaseException:  # also Ctrl-C: an open file would keep its locks
        connection.close()
        raise
    return Database(profile, path, connection)


def _connect(path: Path, master: SecretBytes) -> Connection:
    connection = connect(path, master)
    try:
        with explained(path):
            set_up(connection)
    except BaseException:  # as above
        connection.close()
        raise
    return connection


def _version(path: Path, master: SecretBytes) -> int:
    # A connection of its own, gone before the file is copied: closing any descriptor of a file gives
    # up all locks that the process has on it.
    with closing(_connect(path, master)) as connection, explained(path):
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        return int(found)


def _remove_leftovers(path: Path) -> None:
    # Of a process that was killed while it made or migrated a store.
    for found in path.parent.glob(f"{STORE}.new*"):
        found.unlink()


def _create(profile: Profile, path: Path, master: SecretBytes, steps: Steps) -> None:
    partial = path.with_name(f"{STORE}.new")
    create_private(partial)
    with closing(_connect(partial, master)) as connection, explained(path):
        connection.execute("BEGIN")
        _apply(connection, steps, 0)
        connection.execute(
            "INSERT INTO profile (id, server, account) VALUES (1, ?, ?)",
            (profile.server.digest, profile.account.lower()),
        )
        connection.execute("COMMIT")
        # Closing would try as well, and keep silent where the disk is full: the file would lack pages.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    sync_file(partial)
    put_in_place(partial, path)


def _migrate(path: Path, master: SecretBytes, steps: Steps, found: int) -> None:
    with closing(_connect(path, master)) as connection, explained(path):
        # Off, because a step may replace a table that others refer to; the result is checked whole.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        _apply(connection, steps, found)
        _check(path, connection)
        connection.execute("COMMIT")


def _copy(path: Path, copy: Path) -> None:
    with explained_disk(path):
        copy.unlink(missing_ok=True)
        create_private(copy)
        shutil.copyfile(path, copy)
        sync_file(copy)


def _apply(connection: Connection, steps: Steps, found: int) -> None:
    for step in steps[found:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(steps)}")


def _check(path: Path, connection: Connection) -> None:
    problems = connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    check_sound(path, connection)
    if problems or connection.execute("PRAGMA foreign_key_check").fetchone():
        raise ProfileDamaged(path=path, why="it did not come through a migration")


def _check_owner(path: Path, connection: Connection, profile: Profile) -> None:
    owner = connection.execute("SELECT server, account FROM profile").fetchone()
    check_sound(path, connection)
    if owner != (profile.server.digest, profile.account.lower()):
        raise ProfileDamaged(path=path, why="it belongs to another account")
