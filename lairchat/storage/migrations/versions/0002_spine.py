"""The features' tables: accounts, rooms, moderation, transfer.

The lobby is not made here but with the first account (features/rooms/server.py): it has a log, and
its time of making is a time at which the server ran.

Numbers are not given away again (AUTOINCREMENT), so that what remembers one that is gone, a session
about to end for instance, never means the next one.
"""

from alembic import op

revision = "0002_spine"
down_revision = "0001_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE users (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name VARCHAR(32) NOT NULL,
        name_key VARCHAR(32) NOT NULL,
        skeleton VARCHAR(64) NOT NULL,
        role SMALLINT NOT NULL,
        state SMALLINT NOT NULL,
        secret VARCHAR(255) NOT NULL,
        created_at BIGINT NOT NULL,
        CONSTRAINT uq_users_name_key UNIQUE (name_key)
    )
    """,
    "CREATE INDEX ix_users_skeleton ON users (skeleton)",
    """
    CREATE TABLE devices (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user INTEGER NOT NULL,
        label VARCHAR(40) NOT NULL,
        created_at BIGINT NOT NULL,
        CONSTRAINT fk_devices_user FOREIGN KEY (user) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_devices_user ON devices (user)",
    """
    CREATE TABLE sessions (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        user INTEGER NOT NULL,
        device INTEGER NOT NULL,
        lookup BLOB NOT NULL,
        current BLOB NOT NULL,
        next BLOB,
        created_at BIGINT NOT NULL,
        used_at BIGINT NOT NULL,
        CONSTRAINT fk_sessions_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_sessions_device FOREIGN KEY (device) REFERENCES devices (id),
        CONSTRAINT uq_sessions_lookup UNIQUE (lookup)
    )
    """,
    "CREATE INDEX ix_sessions_device ON sessions (device)",
    "CREATE INDEX ix_sessions_user ON sessions (user)",
    """
    CREATE TABLE invites (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        code BLOB NOT NULL,
        role SMALLINT NOT NULL,
        uses INTEGER NOT NULL,
        created_by INTEGER,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        CONSTRAINT uq_invites_code UNIQUE (code),
        CONSTRAINT fk_invites_created_by FOREIGN KEY (created_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_invites_created_by ON invites (created_by)",
    """
    CREATE TABLE login_attempts (
        "key" BLOB NOT NULL,
        failures INTEGER NOT NULL,
        last_at BIGINT NOT NULL,
        until BIGINT NOT NULL,
        PRIMARY KEY ("key")
    )
    """,
    """
    CREATE TABLE rooms (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind VARCHAR(10) NOT NULL,
        name VARCHAR(32) NOT NULL,
        name_key VARCHAR(32),
        access VARCHAR(10) NOT NULL,
        posting VARCHAR(10) NOT NULL,
        crypto VARCHAR(10) NOT NULL,
        topic VARCHAR(200) NOT NULL,
        members INTEGER NOT NULL,
        created_by INTEGER,
        created_at BIGINT NOT NULL,
        CONSTRAINT uq_rooms_name_key UNIQUE (name_key),
        CONSTRAINT fk_rooms_created_by FOREIGN KEY (created_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_rooms_access_name_key ON rooms (access, name_key)",
    """
    CREATE TABLE memberships (
        room INTEGER NOT NULL,
        user INTEGER NOT NULL,
        role SMALLINT NOT NULL,
        joined_at BIGINT NOT NULL,
        PRIMARY KEY (room, user),
        CONSTRAINT fk_memberships_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_memberships_user FOREIGN KEY (user) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_memberships_user ON memberships (user)",
    """
    CREATE TABLE directs (
        low INTEGER NOT NULL,
        high INTEGER NOT NULL,
        room INTEGER NOT NULL,
        PRIMARY KEY (low, high),
        CONSTRAINT fk_directs_low FOREIGN KEY (low) REFERENCES users (id),
        CONSTRAINT fk_directs_high FOREIGN KEY (high) REFERENCES users (id),
        CONSTRAINT uq_directs_room UNIQUE (room),
        CONSTRAINT fk_directs_room FOREIGN KEY (room) REFERENCES rooms (id)
    )
    """,
    "CREATE INDEX ix_directs_high ON directs (high)",
    """
    CREATE TABLE invitations (
        room INTEGER NOT NULL,
        user INTEGER NOT NULL,
        invited_by INTEGER NOT NULL,
        invited_at BIGINT NOT NULL,
        PRIMARY KEY (room, user),
        CONSTRAINT fk_invitations_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_invitations_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_invitations_invited_by FOREIGN KEY (invited_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_invitations_user ON invitations (user)",
    """
    CREATE TABLE bans (
        room INTEGER NOT NULL,
        user INTEGER NOT NULL,
        banned_by INTEGER NOT NULL,
        banned_at BIGINT NOT NULL,
        reason VARCHAR(200) NOT NULL,
        PRIMARY KEY (room, user),
        CONSTRAINT fk_bans_room FOREIGN KEY (room) REFERENCES rooms (id),
        CONSTRAINT fk_bans_user FOREIGN KEY (user) REFERENCES users (id),
        CONSTRAINT fk_bans_banned_by FOREIGN KEY (banned_by) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_bans_user ON bans (user)",
    """
    CREATE TABLE blobs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL,
        blob BLOB NOT NULL,
        total INTEGER NOT NULL,
        received INTEGER NOT NULL,
        digest BLOB NOT NULL,
        complete BOOLEAN NOT NULL,
        created_at BIGINT NOT NULL,
        CONSTRAINT uq_blobs_owner_blob UNIQUE (owner, blob),
        CONSTRAINT fk_blobs_owner FOREIGN KEY (owner) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_blobs_owner ON blobs (owner)",
    """
    CREATE TABLE blob_chunks (
        blob INTEGER NOT NULL,
        position INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (blob, position),
        CONSTRAINT fk_blob_chunks_blob FOREIGN KEY (blob) REFERENCES blobs (id) ON DELETE CASCADE
    )
    """,
)
