"""What the migrations make is what the code declares, feature by feature."""

import importlib.util
import pkgutil
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

import lairchat.features
from lairchat.storage import migrate, sqlite
from lairchat.storage.schema import log_answers, metadata

LOG_TABLES = ("log_answers", "log_cursors", "log_events", "log_heads")


def import_feature_tables() -> list[str]:
    """Import every feature's tables.py, so that it declares its tables on the metadata."""
    found = []
    for feature in pkgutil.iter_modules(lairchat.features.__path__, "lairchat.features."):
        name = f"{feature.name}.tables"
        if feature.ispkg and importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
            found.append(name)
    return found


FEATURE_TABLES = import_feature_tables()


@pytest.fixture(scope="module")
def migrated() -> Any:
    with sqlite.writing_engine(None).connect() as connection:
        migrate.fill(connection)
        yield connection


@pytest.fixture(scope="module")
def declared() -> Any:
    with sqlite.writing_engine(None).connect() as connection:
        metadata.create_all(connection)
        connection.commit()
        yield connection


def pragma(connection: Connection, name: str, table: str) -> list[Any]:
    return [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {name}('{table}')")]


def describe(connection: Connection, table: str) -> dict[str, Any]:
    """Say all that SQLite knows about a table, apart from names that it makes up."""
    indexes = set()
    for _, name, unique, origin, partial in pragma(connection, "index_list", table):
        columns = tuple(row[2] for row in pragma(connection, "index_info", name))
        shown = "" if name.startswith("sqlite_autoindex") else name
        indexes.add((shown, unique, origin, partial, columns))
    (kind,) = [row for row in pragma(connection, "table_list", table) if row[0] == "main"]
    return {
        "columns": {row[1]: row[2:] for row in pragma(connection, "table_xinfo", table)},
        "indexes": indexes,
        "foreign keys": {row[2:] for row in pragma(connection, "foreign_key_list", table)},
        "without rowid, strict": kind[4:],
    }


def tables(connection: Connection) -> set[str]:
    """Name the plain tables; virtual ones (search) are the migrations' alone."""
    rows = connection.exec_driver_sql("PRAGMA table_list").fetchall()
    names = {name for schema, name, kind, *_ in rows if schema == "main" and kind == "table"}
    return {name for name in names if not name.startswith("sqlite_")} - {"alembic_version"}


def test_the_same_tables(migrated: Connection, declared: Connection) -> None:
    assert tables(migrated) == tables(declared) == set(metadata.tables)
    assert tables(migrated) >= set(LOG_TABLES)


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_each_table_is_the_same(migrated: Connection, declared: Connection, table: str) -> None:
    assert describe(migrated, table) == describe(declared, table)


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_no_number_is_given_away_twice(
    migrated: Connection, declared: Connection, table: str
) -> None:
    """What remembers a row that is gone, a connection its session, must not mean the next one."""
    own = [key for key in metadata.tables[table].primary_key if key.autoincrement is True]
    for connection in (migrated, declared):
        query = f"SELECT sql FROM sqlite_schema WHERE name = '{table}'"
        sql = connection.exec_driver_sql(query).scalar_one()
        assert ("AUTOINCREMENT" in sql) == bool(own)


def test_alembic_sees_no_difference(migrated: Connection) -> None:
    def ours(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or name in metadata.tables

    context = MigrationContext.configure(migrated, opts={"include_object": ours})
    assert compare_metadata(context, metadata) == []


def test_the_steps_are_one_line_in_the_order_of_their_names() -> None:
    """The head is found by the files' names, so that a start does not import Alembic."""
    previous = None
    for stem in migrate.revisions():
        spec = importlib.util.spec_from_file_location(stem, migrate.VERSIONS / f"{stem}.py")
        assert spec is not None
        assert spec.loader is not None
        step = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(step)
        assert (step.revision, step.down_revision) == (stem, previous)
        assert len(stem) <= 32  # the width of alembic_version.version_num
        previous = stem
    assert previous is not None


def test_foreign_keys_are_never_deferred() -> None:
    """A group's COMMIT that fails could not be blamed on one unit (storage/group.py)."""
    for table in metadata.tables.values():
        for key in table.foreign_key_constraints:
            assert not key.deferrable, key
            assert not key.initially, key


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()])  # type: ignore[no-untyped-call]
def test_the_log_is_portable(dialect: Any) -> None:
    for name in LOG_TABLES:
        text = str(CreateTable(metadata.tables[name]).compile(dialect=dialect))
        assert "BIGINT" in text
        assert "AUTO_INCREMENT" not in text
        assert "SERIAL" not in text


def test_keys_of_bytes_have_a_length_where_one_is_needed() -> None:
    """MariaDB has no key on a BLOB without one."""
    text = str(CreateTable(log_answers).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]
    assert "command VARBINARY(16)" in text


def test_every_feature_with_tables_was_looked_at() -> None:
    declared_by = {table.info.get("feature") for table in metadata.tables.values()}
    assert declared_by  # the metadata is not empty
    assert sorted(FEATURE_TABLES) == FEATURE_TABLES
    assert sqlalchemy.inspect(metadata.tables["log_heads"]) is not None
