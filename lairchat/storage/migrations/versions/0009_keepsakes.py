"""What accounts keep sealed for their own devices: the backup of encrypted rooms."""

from alembic import op

revision = "0009_keepsakes"
down_revision = "0008_joining"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE keepsakes (
        account BLOB NOT NULL,
        name BLOB NOT NULL,
        digest BLOB NOT NULL,
        size INTEGER NOT NULL,
        at BIGINT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (account, name),
        CONSTRAINT fk_keepsakes_account FOREIGN KEY (account) REFERENCES account_logs (account)
    )
    """,
    "CREATE INDEX ix_keepsakes_account_size ON keepsakes (account, size)",
)
