"""An invitation for each who invites somebody into a room, and not for the first one alone."""

from alembic import op

revision = "0007_inviters"
down_revision = "0006_delivery"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    "ALTER TABLE invitations RENAME TO invitations_before",
    "DROP INDEX ix_invitations_user",
    """
    CREATE TABLE invitations (
        room INTEGER NOT NULL,
        user INTEGER NOT NULL,
        invited_by INTEGER NOT NULL,
        invited_at BIGINT NOT NULL,
        PRIMARY KEY (room, user, invited_by),
        CONSTRAINT fk_invitations_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_invitations_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_invitations_invited_by FOREIGN KEY (invited_by) REFERENCES users (id)
    )
    """,
    "INSERT INTO invitations SELECT room, user, invited_by, invited_at FROM invitations_before",
    "DROP TABLE invitations_before",
    "CREATE INDEX ix_invitations_user ON invitations (user)",
)
