"""Where each epoch of a group began, who has accepted an invitation, and codes with those who knock."""

from alembic import op

revision = "0008_joining"
down_revision = "0007_inviters"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


#: A group was founded behind the server's statements of that time, the first events of its room; each
#: commit (class 2) then began the next epoch.
STATEMENTS = (
    """
    CREATE TABLE group_epochs_begun (
        room INTEGER NOT NULL,
        epoch BIGINT NOT NULL,
        at BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        context BLOB NOT NULL,
        PRIMARY KEY (room, epoch),
        CONSTRAINT fk_group_epochs_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    """
    INSERT INTO group_epochs_begun (room, epoch, at, seq, context)
        SELECT room, epoch, at, (
            SELECT COALESCE(MAX(log_events.seq), 0) FROM log_events
                WHERE log_events.room = group_epochs.room AND log_events.kind = 6
                AND log_events.at <= group_epochs.at
        ), context FROM group_epochs WHERE epoch = 0
    """,
    """
    INSERT INTO group_epochs_begun (room, epoch, at, seq, context)
        SELECT group_epochs.room, group_epochs.epoch, group_epochs.at, commits.seq,
            group_epochs.context
        FROM group_epochs JOIN (
            SELECT room, seq, ROW_NUMBER() OVER (PARTITION BY room ORDER BY seq) AS epoch
            FROM log_events WHERE kind = 2
        ) AS commits ON commits.room = group_epochs.room AND commits.epoch = group_epochs.epoch
    """,
    "DROP TABLE group_epochs",
    "ALTER TABLE group_epochs_begun RENAME TO group_epochs",
    "CREATE INDEX ix_group_epochs_at ON group_epochs (at)",
    "ALTER TABLE invitations ADD COLUMN accepted_at BIGINT",
    """
    CREATE TABLE group_codes (
        locator BLOB NOT NULL PRIMARY KEY,
        room INTEGER NOT NULL,
        offered_by INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        used INTEGER NOT NULL,
        until BIGINT NOT NULL,
        CONSTRAINT fk_group_codes_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_group_codes_offered_by FOREIGN KEY (offered_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_group_codes_room ON group_codes (room)",
    "CREATE INDEX ix_group_codes_until ON group_codes (until)",
    """
    CREATE TABLE group_knocks (
        room INTEGER NOT NULL,
        user INTEGER NOT NULL,
        locator BLOB NOT NULL,
        at BIGINT NOT NULL,
        body BLOB NOT NULL,
        packages BLOB NOT NULL,
        PRIMARY KEY (room, user),
        CONSTRAINT fk_group_knocks_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_group_knocks_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_group_knocks_locator FOREIGN KEY (locator) REFERENCES group_codes (locator)
    )
    """,
    "CREATE INDEX ix_group_knocks_user ON group_knocks (user)",
    "CREATE INDEX ix_group_knocks_locator ON group_knocks (locator)",
)
