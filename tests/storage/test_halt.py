"""Work that takes long is given up when the server stops, and leaves nothing half done behind."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater

from lairchat.model.refusals import ShuttingDown
from lairchat.storage import backup, check, log, sqlite
from lairchat.storage.halt import Halt, Halted
from tests.storage.support import DatabaseCase, Inline, ballast, entry

WITHIN_SECONDS = 2.0
"""seconds: at most until work is given up, on a machine that has much else to do."""


class After(Halt):
    """Gives up when it has been asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.give_up()
        super().check()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two rooms, of more than one step of a copy."""
    made = tmp_path / "lair.db"
    inline = Inline(f"sqlite:///{made}")

    def fill(connection: Any) -> None:
        for room in (1, 2):
            log.create_head(connection, room)
            log.append(connection, [entry(room, number) for number in range(20)])

    inline.write(fill)
    inline.close()
    return made


def each_moment(work: Callable[[Halt], object]) -> Iterator[int]:
    """Give work up at its first question, its second and so on, until it asks no more."""
    for times in range(10_000):
        try:
            work(After(times))
        except Halted:
            yield times
        else:
            return


def test_a_backup_that_is_given_up_at_any_moment_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PAGES_A_STEP", 4)
    kept = path.with_name("kept")
    before = {found.name for found in path.parent.iterdir()}
    moments = 0
    for moments in each_moment(lambda halt: backup.create(path, kept, now=0, halt=halt)):
        assert {found.name for found in path.parent.iterdir()} == before, moments
    assert moments > 10
    assert backup.verify(kept) == []


def test_nothing_is_said_of_what_was_not_looked_at_to_its_end(path: Path) -> None:
    kept = path.with_name("kept")
    backup.create(path, kept, now=0)
    assert len(list(each_moment(lambda halt: backup.verify(kept, halt)))) > 5
    assert len(list(each_moment(lambda halt: check.check(path, halt=halt)))) > 2


def test_a_copy_in_steps_is_one_moment_and_does_not_start_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody commits between any two steps: each would make SQLite's own backup begin anew."""
    monkeypatch.setattr(sqlite, "_PAGES_A_STEP", 4)
    monkeypatch.setattr(sqlite, "_PAGES_UNSYNCED", 8)
    steps = 0

    class Busy(Halt):
        def check(self) -> None:
            nonlocal steps
            steps += 1
            with closing(sqlite3.connect(path)) as other:
                other.execute("DELETE FROM log_events WHERE room = 1 AND seq = ?", (steps,))
                other.execute(f"PRAGMA user_version = {steps}")
                other.commit()

    copy = path.with_name("copy.db")
    copy.touch()
    with closing(sqlite3.connect(path)) as other:
        (pages,) = other.execute("PRAGMA page_count").fetchone()
    sqlite.copy_database(path, copy, Busy())
    assert steps == -(-pages // 4)
    assert steps > 3
    assert check.check(copy, immutable=True) == []
    assert backup.contents_of(copy).counts["log_events"] == 40


def interrupted(work: Callable[[], object], halt: Halt) -> float:
    """Do work on a thread and give it up while it runs; return how long that takes."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)  # most likely inside a statement then; it has to end wherever it is
    assert thread.is_alive(), "it was over before it could be given up"
    began = time.monotonic()
    while thread.is_alive():
        halt.give_up()
        thread.join(0.05)
    took = time.monotonic() - began
    (error,) = raised
    assert isinstance(error, Halted), error
    return took


def test_one_long_statement_is_interrupted() -> None:
    halt = Halt()
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
        )

        def work() -> None:
            with halt.interrupting(connection):
                connection.execute(endless).fetchone()

        assert interrupted(work, halt) < WITHIN_SECONDS
        # ... and the connection is good for others' work.
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_errors_of_work_that_goes_on_stay_what_they_are() -> None:
    halt = Halt()
    with closing(sqlite3.connect(":memory:")) as connection:
        with pytest.raises(sqlite3.OperationalError), halt.interrupting(connection):
            connection.execute("nonsense")
        halt.give_up()
        with pytest.raises(Halted), halt.interrupting(connection):
            raise AssertionError("it began")


def test_the_check_of_a_large_database_is_given_up(path: Path) -> None:
    ballast(path, 500_000)
    halt = Halt()
    assert interrupted(lambda: check.check(path, halt=halt), halt) < WITHIN_SECONDS


class Vacuum(DatabaseCase):
    async def test_it_is_given_up_and_the_file_is_as_it_was(self) -> None:
        self.open().close()
        ballast(self.path, 500_000)
        database = self.open()
        began = time.monotonic()
        vacuumed = database.vacuum()
        await deferLater(reactor, 0.1)
        assert not vacuumed.called, "it was over before it could be given up"
        loop = LoopingCall(database.halt.give_up)
        loop.start(0.05)
        with self.assertRaises(ShuttingDown):
            await vacuumed
        loop.stop()
        assert time.monotonic() - began < WITHIN_SECONDS
        # The writer's thread goes on with what members have sent.
        await database.call(lambda connection: log.create_head(connection, 1))
        await database.close()
        assert check.check(self.path) == []
