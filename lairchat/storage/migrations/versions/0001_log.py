"""The durable log: heads, events, answers and cursors (storage/schema.py says what they are)."""

from alembic import op

revision = "0001_log"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("PRAGMA application_id = 0x4C414952")
    op.execute(
        """
        CREATE TABLE log_heads (
            room INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            hash BLOB NOT NULL,
            messages INTEGER NOT NULL,
            PRIMARY KEY (room)
        ) STRICT
        """
    )
    op.execute(
        """
        CREATE TABLE log_events (
            room INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            sender INTEGER NOT NULL,
            device INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            id BLOB NOT NULL,
            hash BLOB NOT NULL,
            body BLOB,
            digest BLOB,
            PRIMARY KEY (room, seq)
        ) STRICT
        """
    )
    op.execute(
        """
        CREATE TABLE log_answers (
            command BLOB NOT NULL,
            device INTEGER NOT NULL,
            room INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            body BLOB,
            PRIMARY KEY (command, device)
        ) STRICT, WITHOUT ROWID
        """
    )
    op.execute(
        """
        CREATE TABLE log_cursors (
            reader INTEGER NOT NULL,
            room INTEGER NOT NULL,
            device INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            PRIMARY KEY (reader, room, device)
        ) STRICT, WITHOUT ROWID
        """
    )
