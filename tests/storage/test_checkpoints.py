"""The write-ahead log is copied away from the commits, and does not grow for ever."""

import sqlite3
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from lairchat.model.refusals import ShuttingDown, StoreBroken, StoreBusy
from lairchat.storage.checkpoints import Checkpoints, Pages
from lairchat.storage.group import Outcome
from tests.storage.support import DatabaseCase, add


def group(rows: int) -> Outcome:
    return Outcome(rows, None, None, rows, False, 0.0, 0.0)


def pages(logged: int, copied: int) -> Pages:
    return Pages(False, logged, copied)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


class Answering:
    """An engine whose checkpoints answer what the test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def hop(self, *_: Any) -> "Deferred[Any]":
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class DecisionTest(SynchronousTestCase):
    def made(self, beside: Answering, writer: Answering, bound: int = 100) -> Checkpoints:
        self.broken: list[Any] = []
        return Checkpoints(beside, writer, broken=self.broken.append, pages=bound)  # type: ignore[arg-type]

    def test_nothing_is_copied_before_the_bound(self) -> None:
        beside = Answering()
        checkpoints = self.made(beside, Answering())
        for _ in range(9):
            checkpoints.grown(group(6), 0)
        self.assertEqual(beside.asked, 0)

    def test_one_beside_then_the_rest_between_groups(self) -> None:
        beside, writer = Answering(pages(100, 90)), Answering(pages(100, 100))
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)
        self.assertEqual((beside.asked, writer.asked, checkpoints.done), (1, 1, 1))
        self.assertEqual(checkpoints.log_pages, 100)

    def test_bodies_count(self) -> None:
        beside = Answering(Deferred())
        checkpoints = self.made(beside, Answering())
        checkpoints.grown(group(1), 95 * 4096)
        self.assertEqual(beside.asked, 1)

    def test_one_at_a_time(self) -> None:
        waiting: Deferred[Any] = Deferred()
        beside = Answering(waiting, pages(5, 5))
        checkpoints = self.made(beside, Answering(pages(200, 200), pages(5, 5)))
        checkpoints.grown(group(100), 0)
        checkpoints.grown(group(100), 0)
        self.assertEqual(beside.asked, 1)
        waiting.callback(pages(100, 100))
        checkpoints.grown(group(10), 0)
        self.assertEqual(beside.asked, 1)
        checkpoints.grown(group(100), 0)
        self.assertEqual(beside.asked, 2)

    def test_the_guess_is_corrected_by_what_was_in_the_log(self) -> None:
        """Large groups write far fewer pages than rows: checkpoints must not come for each."""
        beside, writer = (
            Answering(pages(10, 10), pages(10, 10)),
            Answering(pages(10, 10), pages(10, 10)),
        )
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)  # said 100 pages, and it was a tenth
        for _ in range(9):
            checkpoints.grown(group(96), 0)
        self.assertEqual(beside.asked, 1)
        checkpoints.grown(group(96), 0)
        self.assertEqual(beside.asked, 2)

    def test_a_reader_that_holds_the_log_does_not_make_every_group_checkpoint(self) -> None:
        beside, writer = (
            Answering(pages(100, 40), pages(140, 40)),
            Answering(pages(100, 40), pages(140, 40)),
        )
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)  # 60 of 100 pages cannot be copied yet
        checkpoints.grown(group(26), 0)  # 90 are waiting
        self.assertEqual(beside.asked, 1)
        checkpoints.grown(group(6), 0)  # 100 are
        self.assertEqual(beside.asked, 2)

    def test_a_failure_is_logged_and_the_next_one_tries_again(self) -> None:
        beside, writer = Answering(OSError("no"), pages(100, 100)), Answering(pages(100, 100))
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        checkpoints.grown(group(96), 0)
        self.assertEqual(checkpoints.done, 1)

    def test_a_full_disk_is_no_fault_of_the_program(self) -> None:
        beside, writer = (
            Answering(sqlite_error(sqlite3.SQLITE_FULL), pages(100, 100)),
            Answering(pages(100, 100)),
        )
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)
        checkpoints.grown(group(96), 0)
        self.assertEqual((checkpoints.done, self.broken), (1, []))

    def test_a_failed_fsync_is_the_end(self) -> None:
        """security.md, fact 3: what it should have written may be lost, and the log has it still."""
        checkpoints = self.made(Answering(sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)), Answering())
        checkpoints.grown(group(96), 0)
        self.assertEqual([type(fault) for fault in self.broken], [StoreBroken])
        checkpoints = self.made(Answering(), Answering(sqlite_error(sqlite3.SQLITE_IOERR)))
        self.assertIsInstance(self.failureResultOf(checkpoints.empty()).value, StoreBroken)
        self.assertEqual([type(fault) for fault in self.broken], [StoreBroken])

    def test_one_that_the_close_overtakes_is_no_fault(self) -> None:
        checkpoints = self.made(Answering(ShuttingDown(retry_after=1)), Answering())
        checkpoints.grown(group(96), 0)
        self.assertEqual(checkpoints.done, 0)

    def test_those_that_were_asked_for_wait_for_the_one_under_way(self) -> None:
        """SQLite would refuse them at once."""
        waiting: Deferred[Any] = Deferred()
        beside, writer = Answering(waiting, pages(5, 5)), Answering(*[pages(9, 9)] * 3)
        checkpoints = self.made(beside, writer)
        checkpoints.grown(group(96), 0)
        emptied, copied = checkpoints.empty(), checkpoints.copy()
        self.assertEqual((beside.asked, writer.asked), (1, 0))
        waiting.callback(pages(9, 9))
        self.assertEqual(self.successResultOf(emptied), pages(9, 9))
        self.assertEqual(self.successResultOf(copied), pages(9, 9))
        self.assertEqual((beside.asked, writer.asked, checkpoints.done), (2, 3, 1))


class WriteAheadLogTest(DatabaseCase):
    async def test_the_log_is_reused_and_stays_small_under_load(self) -> None:
        database = await self.with_table()
        database.checkpoints._pages = 200
        log = self.path.with_name("lair.db-wal")

        for number in range(60):
            for part in range(20):
                database.submit(
                    lambda connection, name=f"{number}.{part}": add(connection, name, bytes(3_000)),
                    lambda result, error: self.assertIsNone(error),
                )
            await database.writer.drain()
        assert database.checkpoints.done >= 3
        assert log.stat().st_size < 1_200 * 4_096  # 60 groups wrote some 2,500 pages
        size = log.stat().st_size
        await database.checkpoint()
        assert log.stat().st_size == size  # copied, not truncated
        await database.checkpoint(truncate=True)
        assert log.stat().st_size == 0
        await database.close()
        assert not log.exists()

    async def test_a_reader_delays_truncation_but_loses_nothing(self) -> None:
        database = await self.with_table(busy_seconds=0.05)
        other = self.other()
        await database.call(lambda connection: add(connection, "a"))
        other.execute("BEGIN")
        assert other.execute("SELECT COUNT(*) FROM thing").fetchone() == (1,)
        await database.call(lambda connection: add(connection, "b"))
        with pytest.raises(StoreBusy):
            await database.checkpoint(truncate=True)
        await database.close()
        assert other.execute("SELECT COUNT(*) FROM thing").fetchone() == (1,)
        other.execute("COMMIT")
        assert other.execute("SELECT COUNT(*) FROM thing").fetchone() == (2,)
