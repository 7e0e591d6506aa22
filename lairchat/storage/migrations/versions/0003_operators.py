"""What operators decide: locks, keys, bans from the server, reserved names, rooms put away."""

from alembic import op

revision = "0003_operators"
down_revision = "0002_spine"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    "ALTER TABLE users ADD COLUMN locked_until BIGINT",
    "ALTER TABLE users ADD COLUMN lock_reason VARCHAR(200)",
    "ALTER TABLE invites ADD COLUMN name VARCHAR(32)",
    "ALTER TABLE invites ADD COLUMN skeleton VARCHAR(64)",
    """
    ALTER TABLE invites ADD COLUMN account INTEGER
        CONSTRAINT fk_invites_account REFERENCES users (id)
    """,
    "CREATE INDEX ix_invites_skeleton ON invites (skeleton)",
    "CREATE INDEX ix_invites_account ON invites (account)",
    "ALTER TABLE rooms ADD COLUMN archived_at BIGINT",
    "ALTER TABLE rooms ADD COLUMN erased_to BIGINT",
    """
    CREATE TABLE user_keys (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user INTEGER NOT NULL,
        digest BLOB NOT NULL,
        kind VARCHAR(40) NOT NULL,
        label VARCHAR(40) NOT NULL,
        added_by INTEGER,
        added_at BIGINT NOT NULL,
        used_at BIGINT,
        CONSTRAINT uq_user_keys_digest UNIQUE (digest),
        CONSTRAINT fk_user_keys_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_user_keys_added_by FOREIGN KEY (added_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_user_keys_user ON user_keys (user)",
    """
    CREATE TABLE server_bans (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        network VARCHAR(43),
        user INTEGER,
        reason VARCHAR(200) NOT NULL,
        banned_by INTEGER,
        banned_at BIGINT NOT NULL,
        until BIGINT,
        CONSTRAINT uq_server_bans_network UNIQUE (network),
        CONSTRAINT uq_server_bans_user UNIQUE (user),
        CONSTRAINT fk_server_bans_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_server_bans_banned_by FOREIGN KEY (banned_by) REFERENCES users (id)
    )
    """,
)
