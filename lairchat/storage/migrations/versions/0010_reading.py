"""How far accounts have read their encrypted rooms, sealed: a slot for each of their devices."""

from alembic import op

revision = "0010_reading"
down_revision = "0009_keepsakes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(STATEMENT)


STATEMENT = """
    CREATE TABLE reading_slots (
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (account, device_id),
        CONSTRAINT fk_reading_slots_account FOREIGN KEY (account) REFERENCES account_logs (account)
    )
"""
