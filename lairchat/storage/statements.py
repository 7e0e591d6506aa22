"""Runs the log's SQL on the driver's own connection: fixed texts, a handful of calls per group.

SQLAlchemy Core costs three times as much per lonely message (performance.md). The texts are
portable; where SQLite has a faster way it is chosen by the dialect's name.

On SQLite many rows go in by a statement or two with many VALUES, not by ``executemany``, and come
out as one row: the driver gives up the interpreter lock around every row that it steps, and while
the reactor's thread is busy on another core each return of the lock may take the interpreter's
switch interval. Measured beside such a thread: inserting 1,000 messages took 2.6 s by executemany,
26 ms this way; alone it is a fifth faster too.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection

Row = tuple[Any, ...]

FEW = 3
"""count: rows up to which one fixed statement each is cheaper than a set-wise one."""

# Rows of one statement: any group is at most four of these, and all stay prepared (4 MB at most).
_ROWS = (
    *range(1, 33), 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640,
    768, 896, 1024,
)  # fmt: skip
# Values of a list are rounded up to these by repeating the last one.
_LISTS = (4, 16, 64, 256, 1024)


class NoLogError(LookupError):
    """A room has no log: ``create_head`` was not called for it, or the room does not exist."""


class Columns(NamedTuple):
    """A table with the columns that a statement names; the first is the key that upserts look for."""

    table: str
    names: tuple[str, ...]


def driver_of(connection: Connection) -> "Driver":
    """Return the driver's side of a connection; made once for each, because it costs 4 us."""
    kept = connection.info
    driver = kept.get(Driver)
    if driver is None:
        driver = kept[Driver] = Driver(connection)
    return cast("Driver", driver)


class Driver:
    """One cursor of the driver's connection under a SQLAlchemy connection, in its transaction.

    All texts are written with ``?``; drivers that want ``%s`` get it.
    """

    __slots__ = ("_cursor", "_mark", "sqlite")

    def __init__(self, connection: Connection) -> None:
        dialect = connection.dialect
        self._cursor: Any = connection.connection.cursor()
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self.sqlite = dialect.name == "sqlite"
        """Whether it is SQLite, which has the faster ways."""

    def _run(self, sql: str, values: Sequence[Any]) -> Any:
        self._cursor.execute(sql if self._mark == "?" else sql.replace("?", "%s"), values)
        return self._cursor

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """Run one statement and return its first row, or None."""
        return cast("Row | None", self._run(sql, values).fetchone())

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return its rows."""
        return cast("list[Row]", self._run(sql, values).fetchall())

    def change(self, sql: str, values: Sequence[Any]) -> int:
        """Run one statement and return how many rows it changed."""
        return cast("int", self._run(sql, values).rowcount)

    def among(self, sql: str, values: Iterable[Any], before: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield the rows of a statement with ``IN ?`` in it, for any number of values.

        before: values of the marks in front of the list.
        One SELECT for up to 1,024 values. Single columns only: SQLite looks them up in the index,
        but scans the whole table for ``(a, b) IN (VALUES ...)``.
        """
        wanted = list(values)
        for start in range(0, len(wanted), _LISTS[-1]):
            part = wanted[start : start + _LISTS[-1]]
            length = _LISTS[bisect_left(_LISTS, len(part))]
            part.extend(part[-1:] * (length - len(part)))
            self._cursor.execute(_listed(sql, length, self._mark), [*before, *part])
            yield from self._cursor.fetchall()

    def insert(self, into: Columns, rows: Sequence[Row]) -> None:
        """Insert rows; raises the driver's IntegrityError if one is there already.

        The transaction is then of no more use: some of the rows may be in.
        """
        if self.sqlite and len(rows) > FEW:
            self._at_once(_insert_rows, into, rows)
        else:
            self._each(_insert(into, self._mark), rows)

    def update(self, into: Columns, rows: Sequence[Row]) -> None:
        """Set columns of rows that exist, each found by its first value, the key."""
        if self.sqlite and len(rows) > FEW:
            self._at_once(_update_rows, into, rows)
        else:
            self._each(_update(into, self._mark), [(*values, key) for key, *values in rows])

    def _each(self, sql: str, rows: Sequence[Row]) -> None:
        if len(rows) <= FEW:
            for row in rows:
                self._cursor.execute(sql, row)
        else:
            self._cursor.executemany(sql, rows)

    def _at_once(
        self, text: Callable[[Columns, int], str], into: Columns, rows: Sequence[Row]
    ) -> None:
        done = 0
        while done < len(rows):
            count = _ROWS[bisect_right(_ROWS, len(rows) - done) - 1]
            values = list(chain.from_iterable(rows[done : done + count]))
            self._cursor.execute(text(into, count), values)
            done += count


@cache
def _listed(sql: str, length: int, mark: str) -> str:
    marks = ", ".join(["?"] * length)
    return sql.replace("IN ?", f"IN ({marks})").replace("?", mark)


def _marks(into: Columns, mark: str) -> str:
    return f"({', '.join([mark] * len(into.names))})"


@cache
def _insert(into: Columns, mark: str) -> str:
    return f"INSERT INTO {into.table} ({', '.join(into.names)}) VALUES {_marks(into, mark)}"  # noqa: S608


@cache
def _update(into: Columns, mark: str) -> str:
    key, *names = into.names
    sets = ", ".join(f"{name} = {mark}" for name in names)
    return f"UPDATE {into.table} SET {sets} WHERE {key} = {mark}"  # noqa: S608


@cache
def _insert_rows(into: Columns, count: int) -> str:
    # OR FAIL: with the default, ABORT, SQLite copies every page that the statement touches, to
    # be able to undo it alone; here a conflict undoes the transaction anyway. Half the time.
    rows = ", ".join([_marks(into, "?")] * count)
    names = ", ".join(into.names)
    return f"INSERT OR FAIL INTO {into.table} ({names}) VALUES {rows}"  # noqa: S608


@cache
def _update_rows(into: Columns, count: int) -> str:
    key, *names = into.names
    sets = ", ".join(f"{name} = excluded.{name}" for name in names)
    return f"{_insert_rows(into, count)} ON CONFLICT ({key}) DO UPDATE SET {sets}"
