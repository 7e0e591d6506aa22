"""One group in one transaction: who is refused, who is to blame, what is stored."""

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from lairchat.model.refusals import RoomUnknown, StoreBusy, StoreFull
from lairchat.storage import sqlite
from lairchat.storage.durable import create_private
from lairchat.storage.group import LateRefusalError, Outcome, Unit, run_group
from tests.storage.support import TABLE, add, names


class Step(Unit):
    """A unit from a function."""

    def __init__(self, work: Callable[[Connection], object]) -> None:
        self.work = work
        self.refusal = None

    def run(self, connection: Connection) -> None:
        self.work(connection)


def adds(name: str) -> Step:
    return Step(lambda connection: add(connection, name))


def refuses(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT * FROM thing")
    raise RoomUnknown


def refuses_late(connection: Connection) -> None:
    add(connection, "late")
    raise RoomUnknown


def fails(connection: Connection) -> None:
    add(connection, "half")
    raise LookupError("no")


class Group:
    """A connection to a file, and how a group on it went."""

    def __init__(self, path: Path) -> None:
        create_private(path)
        self.path = path
        self.connection = sqlite.writing_engine(path, busy_seconds=0).connect()
        self.connection.connection.dbapi_connection.execute(TABLE)

    def run(self, *units: Unit, seconds: Any = lambda: 0.0, budget: float = 1.0) -> Outcome:
        return run_group(self.connection, units, seconds, budget)

    def stored(self) -> list[str]:
        other = sqlite3.connect(self.path)
        try:
            return [name for (name,) in other.execute("SELECT name FROM thing ORDER BY id")]
        finally:
            other.close()


@pytest.fixture
def group(tmp_path: Path) -> Any:
    made = Group(tmp_path / "lair.db")
    yield made
    made.connection.close()


def told(outcome: Outcome) -> list[type | None]:
    assert outcome.errors is not None
    return [None if error is None else type(error) for error in outcome.errors]


def test_units_commit_together(group: Group) -> None:
    outcome = group.run(adds("a"), adds("b"))
    assert outcome[:5] == (2, None, None, 2, False)
    assert group.stored() == ["a", "b"]


def test_a_refusal_does_not_disturb_its_neighbours(group: Group) -> None:
    units = [adds("a"), Step(refuses), adds("b")]
    assert group.run(*units).errors is None
    assert [unit.refusal and type(unit.refusal) for unit in units] == [None, RoomUnknown, None]
    assert group.stored() == ["a", "b"]


def test_an_unexpected_error_is_its_units_alone(group: Group) -> None:
    units = [adds("a"), Step(refuses), Step(fails), adds("b"), adds("a")]
    outcome = group.run(*units)
    assert told(outcome) == [None, RoomUnknown, LookupError, None, IntegrityError]
    assert outcome.again
    assert group.stored() == ["a", "b"]


def test_a_refusal_after_a_write_is_an_unexpected_error(group: Group) -> None:
    outcome = group.run(adds("a"), Step(refuses_late), adds("b"))
    assert told(outcome) == [None, LateRefusalError, None]
    assert outcome.errors is not None
    assert isinstance(outcome.errors[1].__cause__, RoomUnknown)
    assert group.stored() == ["a", "b"]


def test_a_refusal_from_a_first_attempt_is_forgotten(group: Group) -> None:
    """The second attempt may find another state: whoever was in the way is gone with its error."""

    def refuses_beside_half(connection: Connection) -> None:
        if "half" in names(connection):
            raise RoomUnknown
        add(connection, "b")

    half = Step(lambda connection: (add(connection, "half"), tries.pop()))
    tries = [1]
    outcome = group.run(half, Step(refuses_beside_half), Step(fails))
    # The first attempt emptied `tries`, so now `half` is a culprit too.
    assert told(outcome) == [IndexError, None, LookupError]
    assert group.stored() == ["b"]


def test_neighbours_of_one_family_run_together(group: Group) -> None:
    seen: list[list[str]] = []

    def together(connection: Connection, units: Sequence[Unit]) -> None:
        seen.append([unit.name for unit in units])  # type: ignore[attr-defined]
        for unit in units:
            if unit.name == "x":  # type: ignore[attr-defined]
                unit.refusal = RoomUnknown()
            else:
                add(connection, unit.name)  # type: ignore[attr-defined]

    class Named(Unit):
        __slots__ = ("name",)
        family = staticmethod(together)

        def __init__(self, name: str) -> None:
            self.name = name
            self.refusal = None

    units = [Named("a"), Named("x"), adds("b"), Named("c")]
    assert group.run(*units).errors is None
    assert seen == [["a", "x"], ["c"]]
    assert units[1].refusal is not None
    assert group.stored() == ["a", "b", "c"]
    # Alone, a member runs as a family of one: that is how a culprit is found.
    outcome = group.run(Named("d"), Named("a"), Named("e"))
    assert told(outcome) == [None, IntegrityError, None]
    assert seen[2:] == [["d", "a", "e"], ["d"], ["a"], ["e"]]
    assert group.stored() == ["a", "b", "c", "d", "e"]


def test_a_unit_without_work_is_our_fault(group: Group) -> None:
    unit = Unit()
    assert told(group.run(unit)) == [NotImplementedError]
    with pytest.raises(NotImplementedError):
        unit.finish(None)


def test_time_is_bounded_and_the_rest_waits(group: Group) -> None:
    ticks = itertools.count()
    outcome = group.run(*map(adds, "abcdef"), seconds=lambda: next(ticks), budget=3)
    assert outcome.done == 3
    assert outcome.errors is None
    assert group.stored() == ["a", "b", "c"]


def test_time_is_bounded_when_run_one_by_one_too(group: Group) -> None:
    ticks = itertools.count()
    # The first attempt fails at its second unit; the clock stands at 2 by then.
    outcome = group.run(
        adds("a"), Step(fails), *map(adds, "bcdef"), seconds=lambda: next(ticks), budget=3
    )
    assert outcome.done == 3
    assert told(outcome) == [None, LookupError, None]
    assert group.stored() == ["a", "b"]


def test_who_was_refused_in_a_run_that_was_undone_begins_afresh(group: Group) -> None:
    """Also in the next group, when there is no time for it in this one."""
    asked: list[str] = []

    def refuses_first(connection: Connection) -> None:
        asked.append("?")
        if len(asked) == 1:
            raise RoomUnknown
        add(connection, "later")

    later = Step(refuses_first)
    ticks = itertools.chain([0.0] * 4, itertools.repeat(9.0))
    outcome = group.run(adds("a"), later, Step(fails), seconds=lambda: next(ticks), budget=3)
    assert (outcome.done, told(outcome)) == (1, [None])
    outcome = group.run(later)
    assert (outcome.done, outcome.errors, later.refusal) == (1, None, None)
    assert (len(asked), group.stored()) == (2, ["a", "later"])


def test_a_full_disk_fails_the_group_and_the_next_one_tries_again(group: Group) -> None:
    """max_page_count is SQLite's own full disk: the same result code, by the same way out."""
    driver: Any = group.connection.connection.dbapi_connection
    driver.execute("PRAGMA max_page_count = 10")
    big = Step(lambda connection: add(connection, "big", bytes(200_000)))
    outcome = group.run(adds("a"), big, adds("b"))
    assert told(outcome) == [StoreFull] * 3
    assert isinstance(outcome.fault, StoreFull)
    assert group.stored() == []
    driver.execute("PRAGMA max_page_count = 10000")
    assert group.run(adds("a"), big, adds("b")).errors is None
    assert group.stored() == ["a", "big", "b"]


def test_a_disk_that_fills_in_the_second_attempt(group: Group) -> None:
    def fills_then(connection: Connection) -> None:
        connection.connection.dbapi_connection.execute("PRAGMA max_page_count = 10")
        add(connection, "big", bytes(200_000))

    tries = iter([fails, fills_then])
    outcome = group.run(adds("a"), Step(lambda connection: next(tries)(connection)))
    assert told(outcome) == [StoreFull] * 2
    assert outcome.again
    assert group.stored() == []


def test_a_lock_that_another_process_holds(group: Group) -> None:
    other = sqlite3.connect(group.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert told(group.run(adds("a"))) == [StoreBusy]
    other.execute("ROLLBACK")
    other.close()
    assert group.run(adds("a")).errors is None


def test_a_unit_that_hides_the_end_of_the_transaction_is_found(group: Group) -> None:
    """A full disk makes SQLite roll back by itself; a unit that swallows it must not be believed."""

    def swallows(connection: Connection) -> None:
        connection.connection.dbapi_connection.rollback()

    outcome = group.run(adds("a"), Step(swallows))
    assert outcome.again
    assert None not in told(outcome)
    assert group.stored() == []


def test_a_commit_that_fails_is_everybodys(group: Group) -> None:
    """Only deferred constraints get so far; schema.metadata has none."""
    driver: Any = group.connection.connection.dbapi_connection
    driver.execute("CREATE TABLE two (x INTEGER REFERENCES thing DEFERRABLE INITIALLY DEFERRED)")
    broken = Step(lambda connection: connection.exec_driver_sql("INSERT INTO two VALUES (99)"))
    outcome = group.run(adds("a"), broken)
    assert told(outcome) == [IntegrityError] * 2
    assert outcome.fault is None
    assert group.stored() == []
    assert group.run(adds("a")).errors is None
