"""What encrypted rooms need: account logs, proven devices, key packages, inboxes."""

from alembic import op

revision = "0005_encryption"
down_revision = "0004_mutes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE account_logs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user INTEGER NOT NULL,
        account BLOB NOT NULL,
        head INTEGER NOT NULL,
        hash BLOB NOT NULL,
        current BOOLEAN NOT NULL,
        started_at BIGINT NOT NULL,
        CONSTRAINT uq_account_logs_account UNIQUE (account),
        CONSTRAINT fk_account_logs_user FOREIGN KEY (user) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_account_logs_user ON account_logs (user)",
    """
    CREATE TABLE account_entries (
        log INTEGER NOT NULL,
        position INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (log, position),
        CONSTRAINT fk_account_entries_log FOREIGN KEY (log) REFERENCES account_logs (id)
    )
    """,
    """
    CREATE TABLE proven_devices (
        session INTEGER NOT NULL PRIMARY KEY,
        device INTEGER NOT NULL,
        log INTEGER NOT NULL,
        device_id BLOB NOT NULL,
        CONSTRAINT uq_proven_devices_log_device_id UNIQUE (log, device_id),
        CONSTRAINT fk_proven_devices_session
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE,
        CONSTRAINT fk_proven_devices_device FOREIGN KEY (device) REFERENCES devices (id),
        CONSTRAINT fk_proven_devices_log FOREIGN KEY (log) REFERENCES account_logs (id)
    )
    """,
    "CREATE INDEX ix_proven_devices_device ON proven_devices (device)",
    """
    CREATE TABLE key_packages (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        init BLOB NOT NULL,
        last_resort BOOLEAN NOT NULL,
        expires_at BIGINT NOT NULL,
        data BLOB NOT NULL,
        CONSTRAINT uq_key_packages_account_device_id_init
            UNIQUE (account, device_id, init),
        CONSTRAINT fk_key_packages_account FOREIGN KEY (account) REFERENCES account_logs (account)
    )
    """,
    "CREATE INDEX ix_key_packages_expires_at ON key_packages (expires_at)",
    """
    CREATE TABLE inboxes (
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        head INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        PRIMARY KEY (account, device_id),
        CONSTRAINT fk_inboxes_account FOREIGN KEY (account) REFERENCES account_logs (account)
    )
    """,
    """
    CREATE TABLE inbox_entries (
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        seq INTEGER NOT NULL,
        kind VARCHAR(10) NOT NULL,
        at BIGINT NOT NULL,
        sender BLOB,
        sender_device INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (account, device_id, seq),
        CONSTRAINT fk_inbox_entries_account FOREIGN KEY (account) REFERENCES account_logs (account)
    )
    """,
    "CREATE INDEX ix_inbox_entries_at ON inbox_entries (at)",
)
