"""Makes alchimia 0.8 work with SQLAlchemy 2, and gives it one thread hop per transaction.

``import alchimia`` fails, because its module ``strategy`` imports a class that SQLAlchemy 2 removed.
Nothing here uses a strategy, so an empty stand-in takes that module's place before the import.
SQLAlchemy's own ``engine.strategies`` stays untouched: Alembic needs it.
tests/storage/test_alchimia_shim.py says when the stand-in may go.
"""

import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

import sqlalchemy
from sqlalchemy import Connection
from twisted._threads import AlreadyQuit
from twisted.internet.defer import Deferred, fail, succeed

from lairchat.model.refusals import ShuttingDown
from lairchat.storage.sqlite import begin
from lairchat.storage.threads import Inline, Lease, Threads
from lairchat.storage.unavailable import storage_unavailable

_stand_in = types.ModuleType("alchimia.strategy")
_stand_in.TWISTED_STRATEGY = "_twisted"  # type: ignore[attr-defined]
sys.modules.setdefault("alchimia.strategy", _stand_in)

from alchimia.engine import TwistedEngine  # noqa: E402 - needs the stand-in above

T = TypeVar("T")

SHUTDOWN_RETRY_SECONDS = 5.0
"""seconds: when to try again after a server that stops; about the time of a restart."""


class LostTransactionError(Exception):
    """Something inside a transaction ended it: nothing may be acknowledged."""


class FromThread(Protocol):
    """The one thing that alchimia asks of a reactor."""

    def callFromThread(self, f: Callable[[], object]) -> object:  # noqa: D102
        ...


class _Here:
    """Stands in for the reactor when no thread is involved: results are delivered at once."""

    def callFromThread(self, f: Callable[[], object]) -> None:
        f()


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Run the block in a transaction: committed at its end, rolled back whatever goes wrong.

    The driver begins; SQLAlchemy joins when the block first uses it (see sqlite.py), which saves
    15 us where it does not. The driver's rollback comes last, because SQLAlchemy sends none when
    a COMMIT failed, and the next BEGIN would find a transaction open.
    SQLite undoes a transaction by itself after some errors (disk full, for one); if the block hid
    such an error, a COMMIT would find nothing to commit and be taken for success.
    """
    driver: Any = connection.connection.dbapi_connection
    if driver.in_transaction:
        # Nested by mistake, or a rollback failed: whatever is in it must not be committed as ours.
        raise LostTransactionError("a transaction is open already")
    begin(connection)
    try:
        yield
        if not driver.in_transaction:
            raise LostTransactionError("the transaction ended before its commit")
        if connection.in_transaction():
            connection.commit()
        else:
            driver.commit()
    except BaseException:
        try:
            connection.rollback()
        finally:
            driver.rollback()
        raise


class Engine(TwistedEngine):  # type: ignore[misc]
    """A TwistedEngine on pooled threads, each with a connection of its own that it keeps.

    alchimia pays a thread hop per call, six per transaction, and starts a thread per connection.
    :meth:`run` pays one hop for a whole transaction on a thread that is already there.
    """

    _threads: Threads | Inline
    _held: threading.local
    _ended: "Deferred[None]"
    _stopped: bool

    @classmethod
    def on_threads(
        cls, reactor: FromThread, engine: sqlalchemy.Engine, count: int, name: str
    ) -> "Engine":
        """Return an engine with ``count`` threads; results come back on the reactor's thread."""
        ended: Deferred[None] = Deferred()

        def leaving() -> None:
            self._leave()

        def report() -> None:
            reactor.callFromThread(gone)

        def gone() -> None:
            threads.alive -= 1
            if not threads.alive:
                threads.join()
                ended.callback(None)

        # The threads touch nothing of the engine before their first task.
        threads = Threads(count, name, leaving=leaving, ended=report)
        self = cls._over(reactor, engine, threads, threads.lease)
        self._ended = ended
        return self

    @classmethod
    def inline(cls, engine: sqlalchemy.Engine) -> "Engine":
        """Return an engine that does everything in the calling thread; its Deferreds have fired."""
        here = Inline()
        self = cls._over(_Here(), engine, here, here.lease)
        self._ended = succeed(None)
        return self

    @classmethod
    def _over(
        cls,
        reactor: FromThread,
        engine: sqlalchemy.Engine,
        threads: Threads | Inline,
        lease: Callable[[], Lease],
    ) -> "Engine":
        self = cast("Engine", cls.from_sqlalchemy_engine(reactor, engine, create_worker=lease))
        self._threads = threads
        self._held = threading.local()
        self._stopped = False
        return self

    def held(self) -> Connection:
        """Return this thread's connection, opening it on first use; for functions inside a hop."""
        connection: Connection | None = getattr(self._held, "connection", None)
        if connection is None:
            connection = self._held.connection = self._engine.connect()
        return connection

    def _leave(self) -> None:
        connection: Connection | None = getattr(self._held, "connection", None)
        if connection is not None:
            self._held.connection = None
            connection.close()

    def hop(self, function: Callable[..., T], *args: Any) -> "Deferred[T]":
        """Call ``function(connection, *args)`` on a thread of this engine, outside a transaction.

        Fails with ShuttingDown once the engine is closed.
        """
        try:
            return cast("Deferred[T]", self._defer_to_engine(self._with_held, function, args))
        except AlreadyQuit:
            return fail(ShuttingDown(retry_after=SHUTDOWN_RETRY_SECONDS))

    def _with_held(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        return function(self.held(), *args)

    def run(self, function: Callable[[Connection], T]) -> "Deferred[T]":
        """Call ``function(connection)`` in one hop and one transaction.

        Fails with StorageUnavailable for errors of disk and file, else with what it raised.
        """
        return self.hop(_in_transaction, function)

    def close(self) -> "Deferred[None]":
        """Stop: what is queued is done first, then connections close and threads end."""
        if not self._stopped:
            self._stopped = True
            self._threads.stop()
            if isinstance(self._threads, Inline):
                self._leave()
        return self._ended


def _in_transaction(connection: Connection, function: Callable[[Connection], T]) -> T:
    try:
        with transaction(connection):
            return function(connection)
    except Exception as error:
        fault = storage_unavailable(error)
        if fault is None:
            raise
        raise fault from error
