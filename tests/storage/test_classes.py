"""Every column of the server's database is classed, so that the page of what the server learns is whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lairchat.config import Config
from lairchat.layout import Layout
from lairchat.model.stored import Class, by_column
from lairchat.storage import migrate, sqlite
from lairchat.storage.classes import FACTS, FILES, About
from tests.storage.test_schema import pragma

SAID = by_column(FACTS)


@pytest.fixture(scope="module")
def columns() -> Iterator[set[str]]:
    """Name every column that there is once all migrations have run."""
    with sqlite.writing_engine(None).connect() as connection:
        migrate.fill(connection)
        rows = connection.exec_driver_sql("PRAGMA table_list").fetchall()
        # SQLite's own table of tables holds DDL, which is the same everywhere.
        tables = {row[1] for row in rows if row[0] == "main"} - {"sqlite_schema"}
        yield {
            f"{name}.{row[1]}" for name in tables for row in pragma(connection, "table_xinfo", name)
        }


def test_no_column_is_unclassed(columns: set[str]) -> None:
    unclassed = sorted(columns - set(SAID))
    assert unclassed == [], (
        "say in lairchat/storage/classes.py what whoever has these columns learns, and of which "
        "class they are; docs/e2ee.rst prints it"
    )


def test_no_column_is_classed_that_is_gone(columns: set[str]) -> None:
    assert sorted(set(SAID) - columns) == [], "take these out of lairchat/storage/classes.py"


def test_a_column_that_nobody_classed_is_found(columns: set[str]) -> None:
    assert (columns | {"rooms.colour"}) - set(SAID) == {"rooms.colour"}


def test_what_people_write_is_not_called_metadata() -> None:
    """Columns that hold what people typed, in one kind of room or the other."""
    for column in ("log_events.body", "rooms.name", "rooms.topic", "bans.reason", "devices.label"):
        assert Class.CLEAR in {fact.kind for fact in SAID[column]}, column
    of_messages = [fact for fact in FACTS if fact.about == About.MESSAGE]
    assert Class.CLEAR not in {fact.kind for fact in of_messages}


def test_what_is_sealed_in_one_room_and_clear_in_another_has_a_fact_for_each() -> None:
    about: dict[Any, Class] = {fact.about: fact.kind for fact in SAID["log_events.body"]}
    assert about[About.MESSAGE] is Class.CIPHERTEXT
    assert about[About.PLAIN] is Class.CLEAR


def test_no_key_of_anybody_is_in_the_database() -> None:
    assert [fact for fact in FACTS if fact.kind is Class.SECRET] == []


def test_every_file_of_the_data_directory_is_classed() -> None:
    layout = Layout(Config(), None, Path("data"))
    names = [name for name, kind in vars(Layout).items() if isinstance(kind, property)]
    assert {getattr(layout, name).name for name in names} == {fact.elsewhere for fact in FILES}


def test_every_fact_says_where_it_is() -> None:
    for fact in (*FACTS, *FILES):
        assert fact.columns or fact.elsewhere, fact
        assert len(set(fact.columns)) == len(fact.columns), fact
        assert not fact.learns.endswith("."), fact
