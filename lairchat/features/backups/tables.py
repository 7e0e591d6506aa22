"""Looks at the database as a whole."""

from typing import Any, NamedTuple

from sqlalchemy.engine import Connection


class Numbers(NamedTuple):
    """What the database says of itself. free: bytes that a vacuum would give back."""

    free: int
    rooms: int
    events: int
    accounts: int
    schema: str
    sqlite: str


def numbers(connection: Connection) -> Numbers:
    """Count what there is; the log's events by its heads, because counting them takes its time."""

    def one(statement: str) -> Any:
        return connection.exec_driver_sql(statement).scalar()

    return Numbers(
        free=one("PRAGMA freelist_count") * one("PRAGMA page_size"),
        rooms=one("SELECT COUNT(*) FROM rooms"),
        events=one("SELECT COALESCE(SUM(seq), 0) FROM log_heads"),
        accounts=one("SELECT COUNT(*) FROM users"),
        schema=one("SELECT version_num FROM alembic_version"),
        sqlite=one("SELECT sqlite_version()"),
    )
