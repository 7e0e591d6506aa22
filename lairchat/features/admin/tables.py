"""Counts what operators want to know of the database as a whole."""

from sqlalchemy.engine import Connection

from lairchat.storage.statements import Driver


def counts(connection: Connection) -> tuple[int, int]:
    """Return how many accounts and rooms there are."""
    row = Driver(connection).one(
        "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM rooms)", ()
    )
    assert row is not None
    return int(row[0]), int(row[1])
