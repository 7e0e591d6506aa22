"""The driver's side of a connection: the same result by every way in and out."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from lairchat.storage import sqlite, statements
from lairchat.storage.statements import Columns, Driver, driver_of

THING = Columns("thing", ("id", "name", "size"))
SIZES = (0, 1, 3, 4, 10, 33, 100, 129, 1000, 1025, 2500)


class FormatCursor:
    """A cursor that wants ``%s``, as those of PostgreSQL and MariaDB do."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def execute(self, sql: str, values: Any) -> None:
        assert "?" not in sql
        self._cursor.execute(sql.replace("%s", "?"), values)

    def executemany(self, sql: str, rows: Any) -> None:
        assert "?" not in sql
        self._cursor.executemany(sql.replace("%s", "?"), rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class Portable(Driver):
    """A driver as it is for another database than SQLite."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.sqlite = False
        self._mark = "%s"
        self._cursor = FormatCursor(self._cursor)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with sqlite.writing_engine(None).connect() as made, made.begin():
        made.exec_driver_sql("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)")
        yield made


@pytest.fixture(params=[Driver, Portable])
def driver(request: pytest.FixtureRequest, connection: Connection) -> Driver:
    made: Driver = request.param(connection)
    return made


@pytest.mark.parametrize("count", SIZES)
def test_rows_go_in_and_come_out(driver: Driver, count: int) -> None:
    rows = [(number, f"n{number}", number % 7) for number in range(count)]
    driver.insert(THING, rows)
    assert driver.all("SELECT id, name, size FROM thing ORDER BY id") == rows
    wanted = list(range(0, count, 2))
    found = driver.among(
        "SELECT id, name, size FROM thing WHERE size >= ? AND id IN ?", wanted, (3,)
    )
    assert sorted(found) == [row for row in rows[::2] if row[2] >= 3]


@pytest.mark.parametrize("count", SIZES)
def test_rows_are_updated_by_their_key(driver: Driver, count: int) -> None:
    driver.insert(THING, [(number, "old", 0) for number in range(count + 1)])
    driver.update(THING, [(number, f"n{number}", number) for number in range(count)])
    found = driver.all("SELECT id, name, size FROM thing ORDER BY id")
    assert found == [(n, f"n{n}", n) for n in range(count)] + [(count, "old", 0)]


@pytest.mark.parametrize("count", [1, 4, 200])
def test_a_row_that_is_there_is_an_error(driver: Driver, count: int) -> None:
    driver.insert(THING, [(0, "first", 0)])
    with pytest.raises(sqlite3.IntegrityError):
        driver.insert(THING, [(number, "second", 0) for number in reversed(range(count))])
    assert driver.one("SELECT name FROM thing WHERE id = 0") == ("first",)


def test_single_statements(driver: Driver) -> None:
    assert driver.one("SELECT name FROM thing WHERE id = ?", (1,)) is None
    assert driver.change("INSERT INTO thing VALUES (?, ?, ?)", (1, "a", 5)) == 1
    assert driver.one("SELECT name, size FROM thing WHERE id = ?", (1,)) == ("a", 5)
    assert driver.change("UPDATE thing SET size = ? WHERE size > ?", (0, 9)) == 0


def test_one_row_lookups_leave_no_statement_open(connection: Connection, driver: Driver) -> None:
    """An unfinished SELECT would keep its snapshot past the commit, and the log from being reused."""
    driver.insert(THING, [(1, "a", 5)])
    assert driver.one("SELECT name FROM thing WHERE id = ?", (1,)) == ("a",)
    driver.change("DROP TABLE thing", ())  # fails with "table is locked" while one is open


def test_the_driver_is_made_once_per_connection(connection: Connection) -> None:
    assert driver_of(connection) is driver_of(connection)
    with sqlite.writing_engine(None).connect() as other:
        assert driver_of(other) is not driver_of(connection)


@given(st.integers(1, 5_000))
def test_any_group_is_a_handful_of_statements(count: int) -> None:
    """Each statement gives up the interpreter lock, so their number is what counts."""
    asked: list[int] = []

    class Counting:
        def execute(self, text: str, values: list[int]) -> None:
            asked.append(len(values))

    driver = Driver.__new__(Driver)
    driver._cursor = Counting()
    driver._at_once(lambda into, rows: "", Columns("t", ("a",)), [(1,)] * count)
    assert sum(asked) == count
    assert len(asked) <= 4 + count // 1024
    assert all(rows in statements._ROWS for rows in asked)
