"""What stood in a database before a migration is where it belongs after it."""

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


def test_conversations_of_before_follow_none() -> None:
    step = importlib.import_module("lairchat.storage.migrations.versions.0011_followed")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE directs (low INTEGER, high INTEGER, crypto TEXT, room INTEGER)")
    database.execute("INSERT INTO directs VALUES (1, 2, 'plain', 7), (1, 2, 'mls', 9)")
    for statement in step.STATEMENTS:
        database.execute(statement)
    rows = database.execute("SELECT low, high, crypto, nth, room FROM directs ORDER BY room")
    assert rows.fetchall() == [(1, 2, "plain", 0, 7), (1, 2, "mls", 0, 9)]
    database.execute("INSERT INTO directs VALUES (1, 2, 'mls', 1, 12)")
    database.close()


EPOCHS = """
    CREATE TABLE mls_groups (room INTEGER PRIMARY KEY);
    CREATE TABLE users (id INTEGER PRIMARY KEY);
    CREATE TABLE rooms (id INTEGER PRIMARY KEY);
    CREATE TABLE group_epochs (room INTEGER, epoch BIGINT, at BIGINT, context BLOB);
    CREATE INDEX ix_group_epochs_at ON group_epochs (at);
    CREATE TABLE invitations (room INTEGER, user INTEGER, invited_by INTEGER, invited_at BIGINT);
    CREATE TABLE log_events (room INTEGER, seq BIGINT, kind SMALLINT, at BIGINT);
    INSERT INTO group_epochs VALUES (7, 0, 20, x'00'), (7, 1, 30, x'01'), (7, 2, 50, x'02');
    INSERT INTO group_epochs VALUES (8, 0, 10, x'08');
    INSERT INTO log_events VALUES (7, 1, 6, 10), (7, 2, 2, 30), (7, 3, 1, 40), (7, 4, 3, 45);
    INSERT INTO log_events VALUES (7, 5, 2, 50), (7, 6, 6, 60), (8, 1, 6, 5), (8, 2, 1, 20);
    INSERT INTO invitations VALUES (1, 2, 3, 4);
"""


def test_epochs_of_before_begin_where_the_log_has_their_commits() -> None:
    step = importlib.import_module("lairchat.storage.migrations.versions.0008_joining")
    database = sqlite3.connect(":memory:")
    database.executescript(EPOCHS)
    for statement in step.STATEMENTS:
        database.execute(statement)
    rows = database.execute("SELECT room, epoch, at, seq, context FROM group_epochs ORDER BY 1, 2")
    assert rows.fetchall() == [
        (7, 0, 20, 1, b"\0"),
        (7, 1, 30, 2, b"\1"),
        (7, 2, 50, 5, b"\2"),
        (8, 0, 10, 1, b"\10"),
    ]
    kept = database.execute("SELECT * FROM invitations").fetchall()
    assert kept == [(1, 2, 3, 4, None)]
    database.close()
