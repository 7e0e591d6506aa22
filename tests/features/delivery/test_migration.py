"""Direct conversations of before are plain ones after the migration, each where it was."""

import importlib
import sqlite3

BEFORE = "CREATE TABLE directs (low INTEGER, high INTEGER, room INTEGER)"


def test_conversations_of_before_stay_where_they_are() -> None:
    step = importlib.import_module("lairchat.storage.migrations.versions.0006_delivery")
    database = sqlite3.connect(":memory:")
    database.execute(BEFORE)
    database.execute("INSERT INTO directs VALUES (1, 2, 7), (1, 3, 8)")
    for statement in step.STATEMENTS:
        database.execute(statement)
    rows = database.execute("SELECT low, high, crypto, room FROM directs ORDER BY room").fetchall()
    assert rows == [(1, 2, "plain", 7), (1, 3, "plain", 8)]
    database.execute("INSERT INTO directs (low, high, crypto, room) VALUES (1, 2, 'mls', 9)")
    database.close()
