"""Opens the database and gives it out: reads on a few threads, writes through the one writer.

Callers hand in functions that take a connection; a function runs in one thread hop and one
transaction (architecture.md, decision 9).

Inline mode (tests with ``task.Clock``, and the first start before the reactor runs):

- nothing starts a thread; one connection serves reads and writes, also for ``sqlite://`` in memory;
- ``read`` runs at once: its Deferred has fired when it returns;
- units queue as they do with threads, so that groups form and ``finish`` is never called inside
  ``submit``; they run when the Clock advances (``clock.advance(0)``), or at once by ``pump()``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from lairchat.model import limits
from lairchat.model.refusals import ShuttingDown, StoreBusy
from lairchat.storage import migrate, sqlite
from lairchat.storage.alchimia_shim import Engine, FromThread
from lairchat.storage.checkpoints import Checkpoints
from lairchat.storage.halt import Halt, Halted
from lairchat.storage.unavailable import (
    BUSY_RETRY_SECONDS,
    StorageUnavailable,
    storage_unavailable,
)
from lairchat.storage.writer import CallUnit, Clock, Unit, Writer

T = TypeVar("T")


class Reactor(Clock, FromThread, Protocol):
    """What the database wants of a reactor."""


class Database:
    """An open database. Made by :meth:`open`; must be closed."""

    log = Logger()

    def __init__(
        self, path: Path | None, clock: Clock, writing: Engine, reading: Engine, *, inline: bool
    ) -> None:
        self.path = path
        """The file, or None in memory."""
        self.writer = Writer(writing, clock, inline=inline)
        """The queue of all writes."""
        self.checkpoints = Checkpoints(reading, writing, broken=self.writer.fail)
        self.writer.grown = self.checkpoints.grown
        self._writing = writing
        self._reading = reading
        self._inline = inline
        self._closing: Deferred[None] | None = None
        self.halt = Halt()
        """Ends what takes as long as the database is large."""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        reactor: Any,
        readers: int = 2,
        inline: bool = False,
        busy_seconds: float = sqlite.BUSY_SECONDS,
        now: int = 0,
    ) -> "Database":
        """Open the database at a SQLAlchemy URL, making or migrating it first.

        Blocks, some 10 ms when there is nothing to migrate.
        reactor: threads mode needs ``callFromThread`` and ``seconds``; inline mode ``seconds`` and
        ``callLater``, as ``task.Clock`` has them.
        busy_seconds: how long to wait while another process holds the database.
        now: ms since 1970, for the manifest of the backup made before a migration.
        Raises ValueError for a URL that is not SQLite, StartSchema for a database newer than this
        code, StartBroken for a damaged or foreign file, StartPermission, StartDisk, or
        StorageUnavailable when another process holds it or it cannot be written.
        """
        path = sqlite.sqlite_path(url)
        if path is None:
            if not inline:
                raise ValueError("a database in memory has one connection: inline mode only")
            engine = Engine.inline(sqlite.writing_engine(None))
            migrate.fill(engine.held())
            return cls(None, reactor, engine, engine, inline=True)
        migrate.prepare(path, busy_seconds=busy_seconds, now=now)
        migrate.check_writable(path, busy_seconds=busy_seconds)
        writing = sqlite.writing_engine(path, busy_seconds=busy_seconds)
        if inline:
            engine = Engine.inline(writing)
            return cls(path, reactor, engine, engine, inline=True)
        reading = sqlite.reading_engine(path, busy_seconds=busy_seconds)
        return cls(
            path,
            reactor,
            Engine.on_threads(reactor, writing, 1, "lairchat-writer"),
            Engine.on_threads(reactor, reading, readers, "lairchat-reader"),
            inline=False,
        )

    # -- reading and writing

    def read(self, query: Callable[[Connection], T]) -> "Deferred[T]":
        """Return what ``query(connection)`` returns, from one snapshot; it cannot write."""
        if self._inline:
            return self._reading.run(_without_writing(query))
        return self._reading.run(query)

    def call(self, change: Callable[[Connection], T]) -> "Deferred[T]":
        """Run ``change(connection)`` as a unit of the writer; fires after the commit.

        Fails with the Refusal that it raised before its first write, with StorageUnavailable, or
        with what else it raised.
        """
        done: Deferred[T] = Deferred()

        def finished(result: T, error: BaseException | None) -> None:
            if error is None:
                done.callback(result)
            else:
                done.errback(error)

        self.writer.submit(CallUnit(change, finished))
        return done

    def submit(
        self,
        change: Callable[[Connection], Any],
        finish: Callable[[Any, BaseException | None], object],
    ) -> None:
        """Run a change as a unit of the writer; ``finish(result, error)`` after the commit."""
        self.writer.submit(CallUnit(change, finish))

    def submit_unit(self, unit: Unit) -> None:
        """Hand a unit to the writer."""
        self.writer.submit(unit)

    def pump(self) -> None:
        """Run what is queued, now; inline mode only."""
        self.writer.pump()

    # -- upkeep

    async def _checkpoint(self, *, truncate: bool) -> None:
        pages = await (self.checkpoints.empty() if truncate else self.checkpoints.copy())
        if truncate and pages.busy:
            raise StoreBusy(retry_after=BUSY_RETRY_SECONDS)

    def checkpoint(self, *, truncate: bool = False) -> "Deferred[None]":
        """Copy the write-ahead log into the database.

        truncate: between two groups, and empty the log after it, so that purged bodies are in no
        file any more; waits for readers, and the writer with it.
        Fails with StorageUnavailable: StoreBusy if somebody reads for too long.
        """
        return Deferred.fromCoroutine(self._checkpoint(truncate=truncate))

    def vacuum(self) -> "Deferred[None]":
        """Write the file anew without its free pages, between two groups; nobody writes meanwhile.

        Fails with StorageUnavailable, or ShuttingDown once that was asked of :attr:`halt`, and the
        file is as it was.
        """
        return Deferred.fromCoroutine(self._vacuum())

    async def _vacuum(self) -> None:
        try:
            await self._writing.hop(_vacuum, self.halt)
        except Halted:
            raise ShuttingDown(retry_after=limits.RECONNECT_SECONDS_MIN) from None
        except Exception as error:
            fault = storage_unavailable(error)
            if fault is None:
                raise
            raise fault from error
        # What was written anew is in the log; only now does the file become smaller.
        await self.checkpoints.empty()

    def close(self) -> "Deferred[None]":
        """Finish what was submitted, refuse what comes, end all threads; fires when they ended.

        The database is then one file: the write-ahead log is copied and gone, unless another
        process has it open.
        """
        if self._closing is None:
            self._closing = Deferred.fromCoroutine(self._close())
        # Each caller has a Deferred of its own, so that none can change what the others get.
        closed: Deferred[None] = Deferred()

        def tell(result: T) -> T:
            closed.callback(None)
            return result

        self._closing.addBoth(tell)
        return closed

    async def _close(self) -> None:
        await self.writer.close()
        if not self._inline:
            await self._reading.close()
        if self.path is not None:
            await self._empty()
        await self._writing.close()

    async def _empty(self) -> None:
        # Whatever keeps it from being emptied, nothing is lost: the next start reads the log.
        try:
            await self.checkpoints.empty()
        except Exception as error:  # noqa: BLE001 - see above; the threads must be stopped
            if isinstance(error, StorageUnavailable):
                self.log.warn("the write-ahead log stays as it is: {code}", code=error.code)
            else:
                self.log.failure("the write-ahead log could not be emptied")


def _vacuum(connection: Connection, halt: Halt) -> None:
    driver: Any = connection.connection.dbapi_connection
    # In memory, as everything else that is temporary, the copy could be larger than the memory.
    driver.execute("PRAGMA temp_store = FILE")
    try:
        with halt.interrupting(driver):
            driver.execute("VACUUM")
    finally:
        driver.execute("PRAGMA temp_store = MEMORY")


def _without_writing(query: Callable[[Connection], T]) -> Callable[[Connection], T]:
    # The inline connection also writes; a query that does would pass here and fail on a server.
    def guarded(connection: Connection) -> T:
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA query_only = ON")
        try:
            return query(connection)
        finally:
            driver.execute("PRAGMA query_only = OFF")

    return guarded
