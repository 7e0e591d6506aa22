"""Keeps what the server must not lose: the database, its one writer, the durable log, backups.

The only package that opens SQLAlchemy engines; features declare tables on :mod:`.schema` and get
connections from :mod:`.database`, never an engine.
Nothing is imported here, so that ``python -m lairchat.storage`` loads only what it needs.
"""

__all__ = [
    "alchimia_shim",
    "backup",
    "check",
    "checkpoints",
    "cursors",
    "database",
    "durable",
    "group",
    "log",
    "migrate",
    "schema",
    "sqlite",
    "statements",
    "threads",
    "unavailable",
    "writer",
]
