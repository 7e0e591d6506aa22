"""Defends facts.md, "alchimia with SQLAlchemy 2": the shim, and one hop per transaction."""

import importlib.metadata
import subprocess
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from lairchat.model.refusals import ShuttingDown, StoreFull
from lairchat.storage import sqlite
from lairchat.storage.alchimia_shim import Engine, LostTransactionError, TwistedEngine, transaction
from lairchat.storage.durable import create_private
from tests.storage.support import TABLE, DatabaseCase, add, names


def test_the_stand_in_is_still_needed() -> None:
    """If this fails, alchimia imports by itself: delete the stand-in and use ``import alchimia``."""
    assert importlib.metadata.version("alchimia") == "0.8.1"
    found = subprocess.run(
        [sys.executable, "-c", "import alchimia"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "DefaultEngineStrategy" in found.stderr


def test_the_stand_in_leaves_sqlalchemys_own_module_alone() -> None:
    """Alembic imports MockEngineStrategy from it."""
    from sqlalchemy.engine import strategies

    assert strategies.MockEngineStrategy
    assert not hasattr(strategies, "DefaultEngineStrategy")


def test_it_is_alchimias_engine() -> None:
    assert issubclass(Engine, TwistedEngine)
    assert TwistedEngine.__module__ == "alchimia.engine"


class ThreadedEngineTest(DatabaseCase):
    def engine(self, count: int = 1) -> Engine:
        create_private(self.path)
        engine = Engine.on_threads(reactor, sqlite.writing_engine(self.path), count, "test")
        self.addCleanup(engine.close)
        return engine

    async def test_a_run_is_one_transaction_on_a_pooled_thread(self) -> None:
        engine = self.engine()

        def work(connection: Connection) -> str:
            connection.exec_driver_sql(TABLE)
            add(connection, "a")
            assert connection.connection.dbapi_connection.in_transaction
            return threading.current_thread().name

        assert await engine.run(work) == "test-0"
        assert self.other().execute("SELECT name FROM thing").fetchall() == [("a",)]

    async def test_an_error_undoes_everything(self) -> None:
        engine = self.engine()
        await engine.run(lambda connection: connection.exec_driver_sql(TABLE) and None)

        def fails(connection: Connection) -> None:
            add(connection, "a")
            raise LookupError("no")

        with pytest.raises(LookupError):
            await engine.run(fails)
        assert await engine.run(names) == []

    async def test_ddl_is_part_of_the_transaction(self) -> None:
        engine = self.engine()

        def fails(connection: Connection) -> None:
            connection.exec_driver_sql(TABLE)
            raise LookupError("no")

        with pytest.raises(LookupError):
            await engine.run(fails)
        assert self.other().execute("SELECT * FROM sqlite_schema").fetchall() == []

    async def test_a_commit_that_fails_leaves_no_transaction_behind(self) -> None:
        engine = self.engine()

        def deferred_violation(connection: Connection) -> None:
            run = connection.exec_driver_sql
            run("CREATE TABLE one (id INTEGER PRIMARY KEY)")
            run("CREATE TABLE two (one INTEGER REFERENCES one DEFERRABLE INITIALLY DEFERRED)")
            run("INSERT INTO two VALUES (1)")

        for _ in range(2):  # found by SQLAlchemy's COMMIT, each time alike
            with pytest.raises(IntegrityError):
                await engine.run(deferred_violation)
        assert self.other().execute("SELECT * FROM sqlite_schema").fetchall() == []

    async def test_a_transaction_that_was_ended_inside_is_never_a_success(self) -> None:
        engine = self.engine()
        await engine.run(lambda connection: connection.exec_driver_sql(TABLE) and None)

        def swallows(connection: Connection) -> None:
            add(connection, "a")
            connection.connection.dbapi_connection.rollback()

        with pytest.raises(LostTransactionError):
            await engine.run(swallows)
        assert await engine.run(names) == []

    async def test_a_transaction_in_a_transaction_is_refused(self) -> None:
        engine = self.engine()

        def nests(connection: Connection) -> None:
            connection.exec_driver_sql(TABLE)
            with transaction(connection):
                add(connection, "a")

        with pytest.raises(LostTransactionError):
            await engine.run(nests)
        assert self.other().execute("SELECT * FROM sqlite_schema").fetchall() == []

    async def test_driver_level_work_needs_no_sqlalchemy(self) -> None:
        engine = self.engine()

        def work(connection: Connection) -> bool:
            driver: Any = connection.connection.dbapi_connection
            driver.execute(TABLE)
            driver.execute("INSERT INTO thing (name) VALUES ('a')")
            return connection.in_transaction()

        assert await engine.run(work) is False
        assert await engine.run(names) == ["a"]

    async def test_a_full_database_is_a_refusal(self) -> None:
        engine = self.engine()

        def fill(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 3")
            connection.exec_driver_sql(TABLE)
            add(connection, "a", bytes(100_000))

        with pytest.raises(StoreFull):
            await engine.run(fill)

    async def test_each_thread_keeps_one_connection(self) -> None:
        engine = self.engine()
        first, second = [
            await engine.hop(lambda connection: id(connection.connection.dbapi_connection))
            for _ in range(2)
        ]
        assert first == second

    async def test_alchimias_connect_starts_no_thread(self) -> None:
        """facts.md: connect() starts one new thread each time unless workers are pooled."""
        engine = self.engine()
        await engine.run(lambda connection: connection.exec_driver_sql(TABLE) and None)
        threads = threading.active_count()
        for number in range(3):
            connection = await engine.connect()
            transaction = await connection.begin()
            await connection.execute(text(f"INSERT INTO thing (name) VALUES ('{number}')"))
            await transaction.commit()
            await connection.close()
            assert threading.active_count() == threads
        assert await engine.run(names) == ["0", "1", "2"]

    async def test_closing_ends_the_threads_after_what_was_queued(self) -> None:
        engine = self.engine(count=3)
        await engine.run(lambda connection: connection.exec_driver_sql(TABLE) and None)
        assert len(self.new_threads()) == 3
        queued = [engine.run(lambda connection, n=n: add(connection, str(n))) for n in range(9)]
        closed = engine.close()
        late = engine.hop(lambda connection: None)
        self.assertIsInstance(self.failureResultOf(late).value, ShuttingDown)
        await closed
        assert self.new_threads() == set()
        for deferred in queued:
            assert self.successResultOf(deferred) is None
        rows = self.other().execute("SELECT COUNT(*) FROM thing").fetchone()
        assert rows == (9,)
        await engine.close()  # once more harms nobody


class InlineEngineTest(SynchronousTestCase):
    def test_everything_happens_at_once(self) -> None:
        engine = Engine.inline(sqlite.writing_engine(None))
        threads = threading.active_count()
        self.successResultOf(engine.run(lambda connection: connection.exec_driver_sql(TABLE) and 1))
        self.successResultOf(engine.run(lambda connection: add(connection, "a")))
        self.assertEqual(self.successResultOf(engine.run(names)), ["a"])
        self.assertEqual(threading.active_count(), threads)
        self.successResultOf(engine.close())
        self.assertIsInstance(self.failureResultOf(engine.run(names)).value, ShuttingDown)

    def test_closing_an_engine_that_was_never_used(self) -> None:
        self.successResultOf(Engine.inline(sqlite.writing_engine(None)).close())
