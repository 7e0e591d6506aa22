"""The queue in front of the one connection that writes (architecture.md, decision 2)."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat.model.refusals import (
    RoomUnknown,
    ShuttingDown,
    StoreBroken,
    StoreBusy,
    StoreFull,
)
from lairchat.storage import sqlite
from lairchat.storage.alchimia_shim import Engine
from lairchat.storage.writer import Outcome, Unit, Writer
from tests.storage.support import TABLE, DatabaseCase, add, names


class Step(Unit):
    """A unit from a function, which notes its outcome in a list."""

    def __init__(
        self,
        outcomes: list[Any],
        name: str,
        work: Callable[[Connection], object] | None = None,
        size: int = 256,
    ) -> None:
        self.outcomes = outcomes
        self.name = name
        self.work = work or (lambda connection: add(connection, name))
        self.size = size
        self.then: Callable[[], object] = lambda: None

    def run(self, connection: Connection) -> None:
        self.work(connection)

    def finish(self, error: BaseException | None) -> None:
        self.outcomes.append((self.name, error if error is None else type(error)))
        self.then()


def refuses(_connection: Connection) -> None:
    raise RoomUnknown


def fails(connection: Connection) -> None:
    add(connection, "half")
    raise LookupError("no")


class InlineWriterTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.engine = Engine.inline(sqlite.writing_engine(None))
        self.addCleanup(self.engine.close)
        self.successResultOf(
            self.engine.run(lambda connection: connection.exec_driver_sql(TABLE) and None)
        )
        self.groups: list[int] = []
        self.outcomes: list[Any] = []

    def writer(self, **options: Any) -> Writer:
        def grown(outcome: Outcome, size: int) -> None:
            self.groups.append(outcome.done)

        writer = Writer(self.engine, self.clock, inline=True, **options)
        writer.grown = grown
        return writer

    def step(self, name: str, work: Any = None, **options: Any) -> Step:
        return Step(self.outcomes, name, work, **options)

    def test_whoever_measures_hears_of_each_group_before_its_callers_do(self) -> None:
        writer = self.writer(group_units=2)
        heard: list[Any] = self.outcomes
        writer.measured = lambda outcome: heard.append(
            (outcome.done, outcome.running >= 0, outcome.committing >= 0)
        )
        for name in ("a", "b", "c"):
            writer.submit(self.step(name))
        writer.pump()
        assert heard == [
            (2, True, True), ("a", None), ("b", None), (1, True, True), ("c", None)
        ]  # fmt: skip

    def stored(self) -> list[str]:
        return self.successResultOf(self.engine.run(names))

    def test_nothing_happens_inside_submit(self) -> None:
        writer = self.writer()
        writer.submit(self.step("a"))
        writer.submit(self.step("b"))
        self.assertEqual((self.outcomes, writer.depth), ([], 2))
        self.clock.advance(0)
        self.assertEqual(self.outcomes, [("a", None), ("b", None)])
        self.assertEqual((self.groups, writer.depth), ([2], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pump_does_it_now_and_leaves_no_timer(self) -> None:
        writer = self.writer()
        writer.submit(self.step("a"))
        writer.pump()
        self.assertEqual(self.outcomes, [("a", None)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        writer.pump()

    def test_what_finish_submits_goes_in_the_next_group(self) -> None:
        writer = self.writer()
        first = self.step("a")
        first.then = lambda: writer.submit(self.step("c"))
        writer.submit(first)
        writer.submit(self.step("b"))
        self.clock.advance(0)
        self.assertEqual([name for name, _ in self.outcomes], ["a", "b", "c"])
        self.assertEqual(self.groups, [2, 1])

    def test_outcomes_come_in_the_order_of_submission(self) -> None:
        writer = self.writer()
        for unit in (
            self.step("a"),
            self.step("no", refuses),
            self.step("b"),
            self.step("bad", fails),
            self.step("c"),
        ):
            writer.submit(unit)
        writer.pump()
        self.assertEqual(
            self.outcomes,
            [("a", None), ("no", RoomUnknown), ("b", None), ("bad", LookupError), ("c", None)],
        )
        self.assertEqual(self.stored(), ["a", "b", "c"])
        stats = writer.stats
        self.assertEqual(
            (stats.groups, stats.units, stats.refused, stats.failed, stats.again, stats.largest),
            (1, 5, 1, 1, 1, 5),
        )

    def test_groups_are_bounded_by_units(self) -> None:
        writer = self.writer(group_units=3)
        for number in range(8):
            writer.submit(self.step(str(number)))
        writer.pump()
        self.assertEqual(self.groups, [3, 3, 2])
        self.assertEqual([name for name, _ in self.outcomes], [str(n) for n in range(8)])

    def test_groups_are_bounded_by_bytes_but_a_large_unit_gets_its_turn(self) -> None:
        writer = self.writer(group_bytes=1000)
        for number, size in enumerate((400, 400, 400, 5000, 400)):
            writer.submit(self.step(str(number), size=size))
        writer.pump()
        self.assertEqual(self.groups, [2, 1, 1, 1])

    def test_what_fills_a_group_to_the_byte_belongs_to_it(self) -> None:
        writer = self.writer(group_bytes=1000)
        for number, size in enumerate((400, 600, 1000)):
            writer.submit(self.step(str(number), size=size))
        writer.pump()
        self.assertEqual(self.groups, [2, 1])

    def test_groups_are_bounded_by_time_and_the_rest_keeps_its_place(self) -> None:
        writer = self.writer(group_seconds=0.02)

        def slow(name: str) -> Callable[[Connection], None]:
            return lambda connection: (add(connection, name), self.clock.advance(0.01))[0]

        for name in "abcde":
            writer.submit(self.step(name, slow(name)))
        writer.pump()
        self.assertEqual(self.groups, [2, 2, 1])
        self.assertEqual([name for name, _ in self.outcomes], list("abcde"))

    def test_a_caller_that_cannot_take_its_outcome_is_logged_alone(self) -> None:
        writer = self.writer()
        bad = self.step("a")
        bad.then = lambda: 1 / 0
        writer.submit(bad)
        writer.submit(self.step("b"))
        writer.pump()
        self.assertEqual([name for name, _ in self.outcomes], ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_drain(self) -> None:
        writer = self.writer(group_units=1)
        self.assertIsNone(self.successResultOf(writer.drain()))
        writer.submit(self.step("a"))
        writer.submit(self.step("b"))
        drained = [writer.drain(), writer.drain()]
        self.assertNoResult(drained[0])
        self.clock.advance(0)
        for deferred in drained:
            self.assertIsNone(self.successResultOf(deferred))
        self.assertEqual(len(self.outcomes), 2)

    def test_a_closed_writer_finishes_the_old_and_refuses_the_new(self) -> None:
        writer = self.writer()
        writer.submit(self.step("a"))
        self.assertIsNone(self.successResultOf(writer.close()))
        writer.submit(self.step("b"))
        self.assertEqual(self.outcomes, [("a", None), ("b", ShuttingDown)])
        self.assertEqual(self.stored(), ["a"])

    def test_a_full_disk_fails_groups_until_there_is_space(self) -> None:
        writer = self.writer()
        driver: Any = self.engine.held().connection.dbapi_connection
        driver.execute("PRAGMA max_page_count = 10")
        big = lambda connection: add(connection, "big", bytes(200_000))  # noqa: E731
        writer.submit(self.step("a"))
        writer.submit(self.step("big", big))
        writer.pump()
        driver.execute("PRAGMA max_page_count = 10000")
        writer.submit(self.step("big", big))
        writer.pump()
        self.assertEqual(self.outcomes, [("a", StoreFull), ("big", StoreFull), ("big", None)])
        self.assertEqual((writer.stats.failed, writer.stats.refused), (2, 0))

    def test_a_failed_fsync_is_the_end(self) -> None:
        """security.md, fact 3: a failed fsync is fatal, never retried."""
        writer = self.writer(group_units=2)
        fatal: list[Any] = []
        writer.on_fatal = fatal.append
        tried: list[str] = []

        def broken(_connection: Connection) -> None:
            tried.append("fsync")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        for unit in (self.step("a"), self.step("b", broken), self.step("c"), self.step("d")):
            writer.submit(unit)
        drained = writer.drain()
        writer.pump()
        self.assertEqual([error for _, error in self.outcomes], [StoreBroken] * 4)
        self.assertEqual([type(fault) for fault in fatal], [StoreBroken])
        self.assertIsNone(self.successResultOf(drained))
        writer.submit(self.step("late"))
        self.assertEqual(self.outcomes[-1], ("late", StoreBroken))
        self.assertEqual((tried, self.stored()), (["fsync"], []))
        self.assertIsNone(self.successResultOf(writer.close()))

    def test_somebody_else_may_find_the_end(self) -> None:
        """A checkpoint that fails, for one."""
        writer = self.writer()
        fatal: list[Any] = []
        writer.on_fatal = fatal.append
        first = self.step("a")
        first.then = lambda: writer.fail(StoreBroken())
        writer.submit(first)
        writer.submit(self.step("b"))
        drained = writer.drain()
        writer.pump()
        writer.fail(StoreBroken())
        # "b" was in the group that is on the disk, so it is told so.
        self.assertEqual(self.outcomes, [("a", None), ("b", None)])
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(len(fatal), 1)
        writer.submit(self.step("late"))
        self.assertEqual(self.outcomes[-1], ("late", StoreBroken))

    def test_without_a_listener_the_end_is_logged(self) -> None:
        writer = self.writer()
        self.assertIsNone(writer.on_fatal(StoreBroken()))

    def test_an_engine_that_is_gone_fails_its_units(self) -> None:
        writer = self.writer()
        self.engine.close()
        writer.submit(self.step("a"))
        writer.pump()
        self.assertEqual(self.outcomes, [("a", ShuttingDown)])

    def test_a_fault_between_groups_is_logged(self) -> None:
        writer = Writer(self.engine, self.clock, inline=True)
        writer.grown = lambda outcome, size: 1 / 0
        writer.submit(self.step("a"))
        writer.pump()
        self.assertEqual(self.outcomes, [("a", None)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ThreadedWriterTest(DatabaseCase):
    async def test_a_group_on_its_way_when_the_end_is_found_is_not_believed(self) -> None:
        """It may be on the disk or not; a repeat with the same command id will tell."""
        database = await self.with_table()
        writer = database.writer
        fatal: list[Any] = []
        writer.on_fatal = fatal.append
        held, release = threading.Event(), threading.Event()
        outcomes: list[Any] = []
        writer.submit(Step(outcomes, "a", lambda connection: (held.set(), release.wait(30))))
        writer.submit(Step(outcomes, "b"))
        assert held.wait(30)
        writer.fail(StoreBroken())
        assert (outcomes, len(fatal)) == ([], 1)
        drained = writer.drain()
        self.assertNoResult(drained)
        release.set()
        await drained
        assert outcomes == [("a", StoreBroken), ("b", StoreBroken)]
        assert len(fatal) == 1

    async def test_what_queues_while_a_group_runs_goes_together(self) -> None:
        database = await self.with_table()
        writer = database.writer
        writer.stats.__init__()
        held, release = threading.Event(), threading.Event()

        def blocks(connection: Connection) -> None:
            held.set()
            assert release.wait(30)

        outcomes: list[Any] = []
        writer.submit(Step(outcomes, "first", blocks))
        assert held.wait(30)
        for number in range(50):
            writer.submit(Step(outcomes, str(number)))
        assert (writer.depth, outcomes) == (51, [])
        release.set()
        await writer.drain()
        assert [name for name, _ in outcomes] == ["first", *map(str, range(50))]
        assert (writer.stats.groups, writer.stats.largest) == (2, 50)
        assert writer.stats.seconds_running > 0
        assert await database.read(names) == [str(number) for number in range(50)]

    async def test_a_lonely_unit_starts_at_once(self) -> None:
        database = await self.with_table()
        started = threading.Event()
        database.writer.submit(Step([], "a", lambda connection: started.set()))
        # The reactor has not turned since: no timer, no wait for more.
        assert started.wait(30)
        await database.writer.drain()

    async def test_finish_runs_on_the_reactors_thread_after_the_commit(self) -> None:
        database = await self.with_table()
        other = self.other()
        seen: list[Any] = []
        unit = Step([], "a")
        unit.then = lambda: seen.append(
            (threading.current_thread(), other.execute("SELECT name FROM thing").fetchall())
        )
        database.writer.submit(unit)
        await database.writer.drain()
        assert seen == [(threading.main_thread(), [("a",)])]

    async def test_another_process_that_writes_is_waited_for(self) -> None:
        database = await self.with_table(busy_seconds=30)
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        outcomes: list[Any] = []
        database.writer.submit(Step(outcomes, "a"))
        waited: Deferred[None] = Deferred()
        reactor.callLater(0.05, waited.callback, None)
        await waited
        assert outcomes == []
        other.execute("COMMIT")
        await database.writer.drain()
        assert outcomes == [("a", None)]

    async def test_another_process_that_keeps_writing_is_a_refusal(self) -> None:
        database = await self.with_table(busy_seconds=0.05)
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        outcomes: list[Any] = []
        database.writer.submit(Step(outcomes, "a"))
        await database.writer.drain()
        other.execute("ROLLBACK")
        database.writer.submit(Step(outcomes, "a"))
        await database.writer.drain()
        assert outcomes == [("a", StoreBusy), ("a", None)]

    async def test_a_family_sees_whole_groups(self) -> None:
        database = await self.with_table()
        sizes: list[int] = []
        outcomes: list[Any] = []

        def together(connection: Connection, units: Sequence[Unit]) -> None:
            sizes.append(len(units))

        class Member(Step):
            family = staticmethod(together)

        for number in range(2_500):
            database.writer.submit(Member(outcomes, str(number)))
        await database.writer.drain()
        assert sum(sizes) == len(outcomes) == 2_500
        assert max(sizes) == 1_000

    async def test_only_inline_writers_are_pumped(self) -> None:
        database = self.open()
        with pytest.raises(RuntimeError):
            database.pump()
