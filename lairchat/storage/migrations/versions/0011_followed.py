"""Direct conversations that follow others, which are held for good."""

from alembic import op

revision = "0011_followed"
down_revision = "0010_reading"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE directs_in_order (
        low INTEGER NOT NULL,
        high INTEGER NOT NULL,
        crypto VARCHAR(10) NOT NULL,
        nth INTEGER NOT NULL,
        room INTEGER NOT NULL,
        PRIMARY KEY (low, high, crypto, nth),
        CONSTRAINT fk_directs_low FOREIGN KEY (low) REFERENCES users (id),
        CONSTRAINT fk_directs_high FOREIGN KEY (high) REFERENCES users (id),
        CONSTRAINT uq_directs_room UNIQUE (room),
        CONSTRAINT fk_directs_room FOREIGN KEY (room) REFERENCES rooms (id)
    )
    """,
    """
    INSERT INTO directs_in_order (low, high, crypto, nth, room)
        SELECT low, high, crypto, 0, room FROM directs
    """,
    "DROP TABLE directs",
    "ALTER TABLE directs_in_order RENAME TO directs",
    "CREATE INDEX ix_directs_high ON directs (high)",
)
