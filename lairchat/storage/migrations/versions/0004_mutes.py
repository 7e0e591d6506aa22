"""Whose invitations somebody does not want to hear of."""

from alembic import op

revision = "0004_mutes"
down_revision = "0003_operators"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(STATEMENT)


STATEMENT = """
    CREATE TABLE mutes (
        user INTEGER NOT NULL,
        other INTEGER NOT NULL,
        muted_at BIGINT NOT NULL,
        CONSTRAINT pk_mutes PRIMARY KEY (user, other),
        CONSTRAINT fk_mutes_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_mutes_other FOREIGN KEY (other) REFERENCES users (id)
    )
    """
