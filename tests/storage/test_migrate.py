"""Making and migrating databases: a crash at any point leaves the old one or the new one."""

import errno
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lairchat.model.faults import StartBroken, StartDisk, StartPermission, StartSchema
from lairchat.model.refusals import StoreBusy
from lairchat.storage import backup, check, durable, log, migrate, sqlite
from tests.storage.support import TABLE

FIRST = migrate.VERSIONS / "0001_log.py"
STEP = """
from alembic import op

revision = "{name}"
down_revision = "{previous}"
branch_labels = depends_on = None


def upgrade():
    op.execute("CREATE TABLE {table} (id INTEGER PRIMARY KEY, note TEXT NOT NULL)")
    op.execute("INSERT INTO {table} (note) SELECT 'room ' || room FROM log_heads")
    op.execute("CREATE INDEX ix_{table} ON {table} (note)")
    {more}
"""


class History:
    """A directory of migrations: ours, and some that may come."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        shutil.copy(FIRST, directory)
        self.last = FIRST.stem

    def step(self, name: str, table: str, more: str = "") -> None:
        text = STEP.format(name=name, previous=self.last, table=table, more=more)
        (self.directory / f"{name}.py").write_text(text)
        self.last = name


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "versions %")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "lair.db"


def fill(path: Path, rooms: int = 100) -> None:
    """Put rooms into a database and leave some of them in its write-ahead log, as a crash does."""
    leaves = os.fork()
    if not leaves:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        for room in range(rooms):
            values = (room, log.genesis(room))
            connection.execute("INSERT INTO log_heads VALUES (?, 0, ?, 0)", values)
        os._exit(0)
    os.waitpid(leaves, 0)
    assert path.with_name("lair.db-wal").stat().st_size


def rows(path: Path, sql: str = "SELECT COUNT(*) FROM log_heads") -> Any:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


def revision(path: Path) -> Any:
    return rows(path, "SELECT version_num FROM alembic_version")


def left_over(path: Path) -> set[str]:
    return {found.name for found in path.parent.iterdir()} - {"lair.db"}


def test_a_new_database_has_the_newest_schema(path: Path) -> None:
    made = migrate.prepare(path)
    assert made == (migrate.revisions()[-1], True, None, None)
    assert revision(path) == made.schema
    assert rows(path, "PRAGMA application_id") == sqlite.APPLICATION_ID
    assert left_over(path) == set()
    assert migrate.prepare(path) == (made.schema, False, None, None)


def test_an_empty_file_is_no_database_yet(path: Path) -> None:
    path.touch(0o600)
    assert migrate.prepare(path).created
    sqlite3.connect(other := path.with_name("other.db")).execute("PRAGMA user_version = 1")
    assert other.stat().st_size > 0
    assert migrate.prepare(other).created


def test_an_old_database_is_backed_up_and_migrated(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step("0002_more", "more")
    history.step("0003_most", "most")
    done = migrate.prepare(path, versions=history.directory, now=5)
    kept = path.with_name("lair.db.before-0003")
    assert done == ("0003_most", False, "0001_log", kept)
    assert revision(path) == "0003_most"
    assert rows(path) == rows(path, "SELECT COUNT(*) FROM most") == 100
    assert left_over(path) == {kept.name}
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert backup.read_manifest(kept).created == 5
    # The way back: the backup is the old database, sound and whole.
    path.unlink()
    backup.restore(kept, path)
    assert (revision(path), rows(path)) == ("0001_log", 100)


def test_a_start_that_fails_each_time_keeps_one_backup(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step("0002_more", "more", more="raise RuntimeError('a faulty step')")
    for _ in range(3):
        with pytest.raises(RuntimeError, match="a faulty step"):
            migrate.prepare(path, versions=history.directory)
        assert (revision(path), rows(path)) == ("0001_log", 100)
    assert {name for name in left_over(path) if "before" in name} == {"lair.db.before-0002"}
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM log_heads WHERE room = 5")
    connection.commit()
    connection.close()
    history.step("0002_more", "more")  # the fault is mended; the content has changed meanwhile
    (history.directory / "0002_more.py").write_text(
        STEP.format(name="0002_more", previous="0001_log", table="more", more="")
    )
    done = migrate.prepare(path, versions=history.directory)
    assert done.backup == path.with_name("lair.db.before-0002-2")
    assert rows(path, "SELECT COUNT(*) FROM more") == 99


def test_something_else_under_the_backups_name_is_left_alone(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    path.with_name("lair.db.before-0002").mkdir()
    history.step("0002_more", "more")
    done = migrate.prepare(path, versions=history.directory)
    assert done.backup == path.with_name("lair.db.before-0002-2")


def test_a_result_that_does_not_hold_together_is_not_taken(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step(
        "0002_more",
        "more",
        more="op.execute('CREATE TABLE child (more INTEGER REFERENCES more)');"
        " op.execute('INSERT INTO child VALUES (9999)')",
    )
    with pytest.raises(StartBroken, match="refers to nothing"):
        migrate.prepare(path, versions=history.directory)
    assert (revision(path), rows(path)) == ("0001_log", 100)


def test_a_result_that_sqlite_finds_wrong_is_not_taken(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step(
        "0002_more",
        "more",
        more="op.execute('PRAGMA writable_schema = ON');"
        " op.execute('UPDATE sqlite_schema SET sql ="
        ' "CREATE TABLE more (id INTEGER PRIMARY KEY, note TEXT NOT NULL CHECK (id < 50))"'
        " WHERE name = \\'more\\'');"
        " op.execute('PRAGMA writable_schema = RESET')",
    )
    with pytest.raises(StartBroken, match="CHECK constraint"):
        migrate.prepare(path, versions=history.directory)
    assert (revision(path), rows(path)) == ("0001_log", 100)


def test_a_database_that_others_could_read_is_made_private(path: Path) -> None:
    """Somebody has copied it with the usual umask."""
    migrate.prepare(path)
    path.chmod(0o644)
    migrate.prepare(path)
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_a_newer_database_is_refused(path: Path, history: History) -> None:
    history.step("0002_more", "more")
    migrate.prepare(path, versions=history.directory)
    before = path.read_bytes()
    (history.directory / "0002_more.py").unlink()
    with pytest.raises(StartSchema) as found:
        migrate.prepare(path, versions=history.directory)
    assert found.value.code == "LC-START-SCHEMA"
    assert "has schema 0002, this version knows 0001" in found.value.text
    assert "lairctl backup restore NAME --replace" in found.value.text
    assert path.read_bytes() == before


def test_a_newer_database_is_refused_with_the_backup_that_leads_back(
    path: Path, history: History
) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step("0002_more", "more")
    kept = migrate.prepare(path, versions=history.directory, now=5).backup
    assert kept is not None
    later = path.parent / "backups" / "later"  # of the new schema: no way back
    later.parent.mkdir()
    backup.create(path, later, now=6)
    (path.parent / "broken").mkdir()
    (path.parent / "broken" / backup.MANIFEST).write_text("{")
    (history.directory / "0002_more.py").unlink()
    with pytest.raises(StartSchema) as found:
        migrate.prepare(path, versions=history.directory)
    command = f"lairctl backup restore {kept.name} --replace"
    assert command in found.value.text
    restored = backup.restore(kept, path, replace=True)
    assert restored.aside is not None
    assert revision(restored.aside) == "0002_more"
    assert not migrate.prepare(path, versions=history.directory).created
    assert rows(path) == 100


def test_a_database_that_does_not_say_its_schema(path: Path) -> None:
    migrate.prepare(path)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    with pytest.raises(StartBroken, match="which schema"):
        migrate.prepare(path)


@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_a_log_without_its_database_is_not_thrown_away(path: Path, end: str) -> None:
    """It may hold acknowledged messages, and SQLite would play it onto the new database."""
    found = Path(f"{path}{end}")
    found.write_bytes(b"acknowledged")
    with pytest.raises(StartBroken, match="without its database"):
        migrate.prepare(path)
    assert (found.read_bytes(), path.exists()) == (b"acknowledged", False)
    found.write_bytes(b"")
    assert migrate.prepare(path).created


def test_nobody_else_may_have_it_open(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step("0002_more", "more")
    other = sqlite3.connect(path)
    assert other.execute("SELECT COUNT(*) FROM log_heads").fetchone() == (100,)
    with pytest.raises(StoreBusy):
        migrate.prepare(path, versions=history.directory, busy_seconds=0)
    other.close()
    assert migrate.prepare(path, versions=history.directory).schema == "0002_more"


def test_leftovers_of_a_crash_are_removed(path: Path) -> None:
    migrate.prepare(path)
    for name in (".lair.db.new", ".lair.db.migrating", ".lair.db.migrating-journal"):
        path.with_name(name).write_bytes(b"half")
    migrate.prepare(path)
    assert left_over(path) == set()


def test_where_nothing_can_be_made(path: Path) -> None:
    with pytest.raises(StartPermission, match="No such file"):
        migrate.prepare(path.with_name("none") / "lair.db")
    with pytest.raises(StartPermission, match="unable to open"):
        migrate.prepare(path.parent)


def test_a_full_disk_at_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StartDisk):
        migrate.prepare(path)
    monkeypatch.undo()
    assert migrate.prepare(path).created


def test_a_disk_that_fills_while_migrating(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    big = "op.execute('PRAGMA max_page_count = 20');"
    big += ' op.execute("INSERT INTO more (note) VALUES (zeroblob(1000000))")'
    history.step("0002_more", "more", more=big)
    with pytest.raises(StartDisk):
        migrate.prepare(path, versions=history.directory)
    assert (revision(path), rows(path)) == ("0001_log", 100)


def test_a_source_that_cannot_be_backed_up_is_not_migrated(path: Path, history: History) -> None:
    migrate.prepare(path, versions=history.directory)
    fill(path)
    history.step("0002_more", "more")
    with path.open("r+b") as file:  # the page of log_heads
        file.seek(
            4096 * (rows(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'log_heads'") - 1)
        )
        file.write(b"\xff" * 4096)
    with pytest.raises(StartBroken, match="malformed"):
        migrate.prepare(path, versions=history.directory)
    assert revision(path) == "0001_log"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_READONLY, StartPermission),
        (sqlite3.SQLITE_CANTOPEN, StartPermission),
        (sqlite3.SQLITE_FULL, StartDisk),
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_CORRUPT, StartBroken),
        (sqlite3.SQLITE_ERROR, StartBroken),
    ],
)
def test_errors_at_the_start_have_a_next_step(path: Path, code: int, kind: type) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    with pytest.raises(kind), migrate._explained(path):
        raise error


def test_a_place_without_shared_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite then keeps another journal without an error, as it does for a database in memory."""
    migrate.prepare(path)
    monkeypatch.setattr(sqlite, "connect", lambda *_, **__: sqlite3.connect(":memory:"))
    with pytest.raises(StartPermission, match="write-ahead log"):
        migrate.check_writable(path)


def test_two_processes_that_make_it_at_once_do_not_mix(path: Path) -> None:
    """The loser finds the winner's half file, and stops; the data directory's lock is the rule."""
    durable.create_private(path.with_name(".lair.db.new"))
    assert migrate.prepare(path).created  # what a crash left is not in the way


# -- kill -9 -------------------------------------------------------------------------------------


def killed_after(steps: int, work: Callable[[], object], files: tuple[str, ...]) -> bool:
    """Run work in a child that kills itself at its n-th line within some files; tell if it ended."""
    child = os.fork()
    if not child:
        left = steps

        def trace(frame: Any, event: str, _argument: object) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.startswith(files):
                return None
            if event == "line":
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_anywhere_in_a_migration(path: Path, history: History) -> None:
    """Every few lines of ours and of the steps; a different few for each run of the loop."""
    migrate.prepare(path, versions=history.directory)
    fill(path)
    kept = path.parent.with_name("kept")
    shutil.copytree(path.parent, kept)
    history.step("0002_more", "more")
    history.step("0003_most", "most")
    files = (str(Path(migrate.__file__).parent), str(history.directory))
    steps, finished, old, new = 1, False, 0, 0
    while not finished:
        shutil.rmtree(path.parent)
        shutil.copytree(kept, path.parent)
        finished = killed_after(
            steps, lambda: migrate.prepare(path, versions=history.directory), files
        )
        found = revision(path)
        assert found in {"0001_log", "0003_most"}
        old, new = old + (found == "0001_log"), new + (found == "0003_most")
        assert rows(path) == 100
        # The next start carries on, whatever was left behind.
        migrate.prepare(path, versions=history.directory)
        assert (revision(path), rows(path)) == ("0003_most", 100)
        assert rows(path, "SELECT COUNT(*) FROM most") == 100
        assert check.check(path) == []
        assert len([name for name in left_over(path) if "before" in name]) == 1
        assert not [name for name in left_over(path) if name.startswith(".lair.db.")]
        steps += 13
    assert old > 10
    assert new >= 1


@pytest.mark.slow
def test_kill_9_while_a_new_database_is_made(path: Path) -> None:
    files = (str(Path(migrate.__file__).parent),)
    steps, finished = 1, False
    while not finished:
        shutil.rmtree(path.parent)
        path.parent.mkdir()
        finished = killed_after(steps, lambda: migrate.prepare(path), files)
        assert not path.exists() or revision(path) == migrate.revisions()[-1]
        migrate.prepare(path)
        assert left_over(path) == set()
        steps += 9


def test_the_table_of_the_tests_is_nobodys(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(TABLE)
    connection.close()
    with pytest.raises(StartBroken):
        migrate.prepare(path)


def test_what_a_server_of_the_second_schema_held_is_in_the_newest(
    path: Path, tmp_path: Path
) -> None:
    """As it was: nobody is locked, no name is kept, nothing is archived, who is invited still is."""
    second = tmp_path / "second"
    second.mkdir()
    for name in ("0001_log", "0002_spine"):
        shutil.copy(migrate.VERSIONS / f"{name}.py", second)
    migrate.prepare(path, versions=second)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(
        "INSERT INTO users (id, name, name_key, skeleton, role, state, secret, created_at)"
        " VALUES (7, 'Alice', 'alice', 'allce', 50, 0, 'x', 1), (8, 'eve', 'eve', 'eve', 20, 1, 'y', 2)"
    )
    connection.execute(
        "INSERT INTO invites (id, code, role, uses, created_by, created_at, expires_at)"
        " VALUES (3, x'00', 20, 2, 7, 1, 9)"
    )
    connection.execute(
        "INSERT INTO rooms (id, kind, name, name_key, access, posting, crypto, topic, members,"
        " created_by, created_at) VALUES (5, 'room', 'den', 'den', 'private', 'members', 'plain',"
        " '', 0, 7, 1)"
    )
    connection.execute("INSERT INTO invitations VALUES (5, 8, 7, 3)")
    connection.close()
    assert migrate.prepare(path).migrated_from == "0002_spine"
    connection = sqlite3.connect(path)
    people = connection.execute(
        "SELECT name, state, locked_until, lock_reason FROM users"
    ).fetchall()
    links = connection.execute("SELECT id, uses, name, skeleton, account FROM invites").fetchall()
    rooms = connection.execute("SELECT name, archived_at, erased_to FROM rooms").fetchall()
    invited = connection.execute("SELECT * FROM invitations").fetchall()
    connection.close()
    assert invited == [(5, 8, 7, 3, None)]
    assert people == [("Alice", 0, None, None), ("eve", 1, None, None)]
    assert links == [(3, 2, None, None, None)]
    assert rooms == [("den", None, None)]


def test_direct_conversations_of_before_are_the_first_of_their_two(
    path: Path, tmp_path: Path
) -> None:
    """In the real tables: what points at users and rooms still does, and each stands alone."""
    tenth = tmp_path / "tenth"
    tenth.mkdir()
    for step in sorted(migrate.VERSIONS.glob("00*.py")):
        if step.stem <= "0010_reading":
            shutil.copy(step, tenth)
    migrate.prepare(path, versions=tenth)
    connection = sqlite3.connect(path, isolation_level=None)
    for number, name in ((7, "alice"), (8, "bob")):
        connection.execute(
            "INSERT INTO users (id, name, name_key, skeleton, role, state, secret, created_at)"
            " VALUES (?, ?, ?, ?, 20, 0, 'x', 1)",
            (number, name, name, name),
        )
    for number, crypto in ((5, "plain"), (6, "mls")):
        connection.execute(
            "INSERT INTO rooms (id, kind, name, access, posting, crypto, topic, members,"
            " created_by, created_at) VALUES (?, 'direct', '', 'private', 'members', ?, '', 2, 7, 1)",
            (number, crypto),
        )
        connection.execute(
            "INSERT INTO directs (low, high, room, crypto) VALUES (7, 8, ?, ?)", (number, crypto)
        )
    connection.close()
    assert migrate.prepare(path).migrated_from == "0010_reading"
    connection = sqlite3.connect(path)
    kept = connection.execute("SELECT low, high, crypto, nth, room FROM directs ORDER BY room")
    assert kept.fetchall() == [(7, 8, "plain", 0, 5), (7, 8, "mls", 0, 6)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
