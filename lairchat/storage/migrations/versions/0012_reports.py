"""What members of encrypted rooms have reported to the operators."""

from alembic import op

revision = "0012_reports"
down_revision = "0011_followed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE reports (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        room INTEGER NOT NULL,
        reporter INTEGER NOT NULL,
        author INTEGER NOT NULL,
        epoch BIGINT NOT NULL,
        digest BLOB NOT NULL,
        content BLOB,
        device BLOB,
        seq BIGINT,
        why VARCHAR(200),
        reason VARCHAR(200) NOT NULL,
        at BIGINT NOT NULL,
        resolved_at BIGINT,
        resolved_by INTEGER,
        CONSTRAINT uq_reports_reporter_digest UNIQUE (reporter, digest),
        CONSTRAINT fk_reports_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_reports_reporter FOREIGN KEY (reporter) REFERENCES users (id),
        CONSTRAINT fk_reports_author FOREIGN KEY (author) REFERENCES users (id),
        CONSTRAINT fk_reports_resolved_by FOREIGN KEY (resolved_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_reports_resolved_at ON reports (resolved_at)",
)
