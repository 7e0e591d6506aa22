"""Opening, reading, writing and closing a database (architecture.md, decisions 2 and 9)."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import fail, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat.model.faults import StartBroken, StartPermission
from lairchat.model.refusals import RoomUnknown, ShuttingDown, StoreBusy, StoreReadOnly
from lairchat.storage import log, migrate
from lairchat.storage.database import Database
from lairchat.storage.writer import CallUnit
from tests.storage.support import TABLE, DatabaseCase, Inline, add, entry, names


def pragma(name: str) -> Any:
    return lambda connection: connection.exec_driver_sql(f"PRAGMA {name}").scalar()


class ThreadedDatabaseTest(DatabaseCase):
    async def test_files_are_for_their_owner_alone(self) -> None:
        database = await self.with_table()
        await database.read(names)
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.directory.iterdir()}
        assert found == {"lair.db": 0o600, "lair.db-wal": 0o600, "lair.db-shm": 0o600}

    async def test_a_file_that_others_may_read_is_closed_to_them(self) -> None:
        await self.open().close()
        self.path.chmod(0o644)
        self.open()
        assert stat.S_IMODE(self.path.stat().st_mode) == 0o600

    async def test_the_pragmas_hold_on_every_connection(self) -> None:
        database = self.open()
        wanted = {
            "journal_mode": "wal",
            "synchronous": 2,
            "wal_autocheckpoint": 0,
            "foreign_keys": 1,
            "secure_delete": 1,
            "cell_size_check": 1,
            "trusted_schema": 0,
            "temp_store": 2,
            "mmap_size": 0,
            "busy_timeout": 5_000,
        }
        for name, value in wanted.items():
            assert await database.read(pragma(name)) == value, name
            assert await database.call(pragma(name)) == value, name
        assert await database.read(pragma("query_only")) == 1
        assert await database.call(pragma("query_only")) == 0

    async def test_a_read_sees_one_snapshot(self) -> None:
        database = await self.with_table()
        await database.call(lambda connection: add(connection, "a"))
        other = self.other()

        def reads_twice(connection: Connection) -> tuple[list[str], list[str]]:
            first = names(connection)
            other_thread = threading.Thread(target=lambda: None)
            other_thread.start()
            other_thread.join()
            written.set()
            assert read_on.wait(30)
            return first, names(connection)

        written, read_on = threading.Event(), threading.Event()
        reading = database.read(reads_twice)
        assert written.wait(30)
        other.execute("INSERT INTO thing (name) VALUES ('b')")
        read_on.set()
        assert await reading == (["a"], ["a"])
        assert await database.read(names) == ["a", "b"]

    async def test_reads_go_on_while_the_writer_is_busy(self) -> None:
        database = await self.with_table()
        held, release = threading.Event(), threading.Event()

        def blocks(connection: Connection) -> None:
            add(connection, "a")
            held.set()
            assert release.wait(30)

        writing = database.call(blocks)
        assert held.wait(30)
        assert await database.read(names) == []
        release.set()
        await writing
        assert await database.read(names) == ["a"]

    async def test_reads_run_side_by_side(self) -> None:
        database = await self.with_table(readers=2)
        meeting = threading.Barrier(2, timeout=30)
        await gatherResults(
            [database.read(lambda connection: meeting.wait() and None) for _ in range(2)]
        )

    async def test_a_read_cannot_write(self) -> None:
        database = await self.with_table()
        with pytest.raises(StoreReadOnly):
            await database.read(lambda connection: add(connection, "a"))
        assert await database.read(names) == []

    async def test_call_returns_the_result_or_fails_with_the_refusal(self) -> None:
        database = self.open()
        assert await database.call(lambda connection: 5) == 5

        def refuses(_connection: Connection) -> None:
            raise RoomUnknown

        with pytest.raises(RoomUnknown):
            await database.call(refuses)

    async def test_submit_tells_result_and_error(self) -> None:
        database = self.open()
        told: list[Any] = []
        database.submit(lambda connection: 5, lambda *outcome: told.append(outcome))
        database.submit(lambda connection: 1 / 0, lambda *outcome: told.append(outcome))
        database.submit_unit(CallUnit(lambda connection: 6, lambda *outcome: told.append(outcome)))
        await database.writer.drain()
        assert told[0] == (5, None)
        assert isinstance(told[1][1], ZeroDivisionError)
        assert told[2] == (6, None)

    async def test_closing_finishes_what_was_submitted_and_leaves_nothing(self) -> None:
        database = await self.with_table(readers=3)
        writes = [database.call(lambda connection, n=n: add(connection, str(n))) for n in range(9)]
        closed = database.close()
        late = database.call(lambda connection: add(connection, "late"))
        self.assertIsInstance(self.failureResultOf(late).value, ShuttingDown)
        await closed
        for write in writes:
            assert self.successResultOf(write) is None
        assert self.new_threads() == set()
        assert [path.name for path in self.directory.iterdir()] == ["lair.db"]
        self.assertIsInstance(self.failureResultOf(database.read(names)).value, ShuttingDown)
        await database.close()
        count = self.other().execute("SELECT COUNT(*) FROM thing").fetchone()
        assert count == (9,)

    async def test_closing_when_the_log_cannot_be_emptied(self) -> None:
        database = await self.with_table(busy_seconds=0.01)
        other = self.other()
        await database.call(lambda connection: add(connection, "a"))
        other.execute("BEGIN IMMEDIATE")
        await database.close()
        other.execute("ROLLBACK")
        assert self.new_threads() == set()
        assert other.execute("SELECT name FROM thing").fetchall() == [("a",)]

    async def test_closing_when_the_last_checkpoint_has_a_fault_of_ours(self) -> None:
        database = await self.with_table()
        database.checkpoints.empty = lambda: fail(LookupError("no"))
        await database.close()
        assert len(self.flushLoggedErrors(LookupError)) == 1
        assert self.new_threads() == set()

    async def test_a_second_opening_finds_everything(self) -> None:
        database = await self.with_table()
        await database.call(lambda connection: add(connection, "a"))
        await database.close()
        assert await self.open().read(names) == ["a"]

    async def test_purged_bodies_are_in_no_file_after_a_truncating_checkpoint(self) -> None:
        database = self.open()
        secret = b"the secret words of a purged message" * 20

        def fill(connection: Connection) -> None:
            log.create_head(connection, 1)
            log.append(connection, [entry(number=n, body=secret + b"%d" % n) for n in range(100)])

        await database.call(fill)
        await database.checkpoint()
        assert (
            await database.call(lambda connection: log.purge(connection, 1, range(1, 101))) == 100
        )
        await database.checkpoint(truncate=True)
        found = subprocess.run(  # not by ourselves: closing the file would drop SQLite's locks
            ["grep", "-c", "secret words", *map(str, self.directory.iterdir())],
            capture_output=True,
            text=True,
            check=False,
        )
        assert {line.rsplit(":", 1)[1] for line in found.stdout.split()} == {"0"}
        assert await database.read(lambda connection: log.verify(connection, 1)) is None

    async def test_many_small_groups_are_all_there(self) -> None:
        database = await self.with_table()
        for number in range(200):
            await database.call(lambda connection, n=number: add(connection, str(n)))
        assert len(await database.read(names)) == 200

    def test_memory_has_one_connection(self) -> None:
        with pytest.raises(ValueError, match="inline"):
            Database.open("sqlite://", reactor=reactor)

    def test_only_sqlite(self) -> None:
        with pytest.raises(ValueError, match="postgresql"):
            Database.open("postgresql://localhost/lair", reactor=reactor)
        assert self.new_threads() == set()

    async def test_another_process_that_writes_at_the_start(self) -> None:
        await self.open().close()
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            self.open(busy_seconds=0.01)
        assert self.new_threads() == set()

    def test_a_file_that_cannot_be_written(self) -> None:
        """Without root's privilege to write everything."""
        migrate.prepare(self.path)
        script = (
            "import sys\n"
            "from twisted.internet.task import Clock\n"
            "from lairchat.model.refusal import Refusal\n"
            "from lairchat.storage.database import Database\n"
            "try: Database.open('sqlite:///' + sys.argv[1], reactor=Clock(), inline=True)\n"
            "except Refusal as refusal: print(refusal)\n"
        )
        self.path.chmod(0o444)
        plain = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
        found = subprocess.run(
            [*plain, sys.executable, "-c", script, str(self.path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(migrate.__file__).parents[2],
        )
        assert found.stdout.startswith(StartPermission.code), found.stdout + found.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"this is no database, whatever its name says" * 100,
        b"SQLite format 3\x00" + bytes(84),
        b"SQLite format 3\x00" + b"\xff" * 5_000,
        bytes(8_192),
    ],
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lair.db"
    path.write_bytes(content)
    with pytest.raises(StartBroken, match=r"lair\.db is damaged"):
        Database.open(f"sqlite:///{path}", reactor=Clock(), inline=True)
    assert path.read_bytes() == content


def test_a_database_that_lost_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lair.db"
    migrate.prepare(path)
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(StartBroken, match="malformed"):
        Database.open(f"sqlite:///{path}", reactor=Clock(), inline=True)


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "lair.db"
    other = sqlite3.connect(path)
    other.execute(TABLE)
    other.close()
    with pytest.raises(StartBroken, match="another program"):
        Database.open(f"sqlite:///{path}", reactor=Clock(), inline=True)


class InlineDatabaseTest(SynchronousTestCase):
    def test_reads_have_fired_and_writes_wait_for_the_clock(self) -> None:
        inline = Inline()
        self.addCleanup(inline.close)
        database = inline.database
        written = database.call(lambda connection: connection.exec_driver_sql(TABLE) and 1)
        self.assertNoResult(written)
        inline.clock.advance(0)
        self.assertEqual(self.successResultOf(written), 1)
        self.assertEqual(self.successResultOf(database.read(names)), [])

    def test_reads_cannot_write_here_either(self) -> None:
        inline = Inline()
        self.addCleanup(inline.close)
        inline.write(lambda connection: connection.exec_driver_sql(TABLE) and None)
        failed = inline.database.read(lambda connection: add(connection, "a"))
        self.assertIsInstance(self.failureResultOf(failed).value, StoreReadOnly)
        inline.write(lambda connection: add(connection, "b"))
        self.assertEqual(inline.read(names), ["b"])

    def test_memory_databases_are_apart(self) -> None:
        first, second = Inline(), Inline()
        first.write(lambda connection: connection.exec_driver_sql(TABLE) and None)
        with pytest.raises(Exception, match="no such table"):
            second.read(names)
        first.close()
        second.close()

    def test_in_a_file_it_does_what_threads_do(self) -> None:
        path = Path(self.mktemp())
        inline = Inline(f"sqlite:///{path}")
        threads = threading.active_count()
        inline.write(lambda connection: log.create_head(connection, 1))
        inline.write(lambda connection: log.append(connection, [entry()]))
        self.assertIsNone(self.successResultOf(inline.database.checkpoint()))
        self.assertEqual(threading.active_count(), threads)
        inline.close()
        self.assertEqual([found.name for found in path.parent.glob(f"{path.name}*")], [path.name])
        again = Inline(f"sqlite:///{path}")
        self.assertEqual(len(again.read(lambda connection: log.page(connection, 1, limit=9))), 1)
        again.close()

    def test_closing_finishes_what_was_submitted(self) -> None:
        inline = Inline()
        written = inline.database.call(lambda connection: 5)
        self.assertIsNone(self.successResultOf(inline.database.close()))
        self.assertEqual(self.successResultOf(written), 5)
        self.assertEqual(inline.clock.getDelayedCalls(), [])
