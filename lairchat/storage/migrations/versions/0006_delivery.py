"""What the delivery service keeps of encrypted rooms, and encrypted direct conversations."""

from alembic import op

revision = "0006_delivery"
down_revision = "0005_encryption"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE directs_of_each_kind (
        low INTEGER NOT NULL,
        high INTEGER NOT NULL,
        crypto VARCHAR(10) NOT NULL,
        room INTEGER NOT NULL,
        PRIMARY KEY (low, high, crypto),
        CONSTRAINT fk_directs_low FOREIGN KEY (low) REFERENCES users (id),
        CONSTRAINT fk_directs_high FOREIGN KEY (high) REFERENCES users (id),
        CONSTRAINT uq_directs_room UNIQUE (room),
        CONSTRAINT fk_directs_room FOREIGN KEY (room) REFERENCES rooms (id)
    )
    """,
    """
    INSERT INTO directs_of_each_kind (low, high, crypto, room)
        SELECT low, high, 'plain', room FROM directs
    """,
    "DROP TABLE directs",
    "ALTER TABLE directs_of_each_kind RENAME TO directs",
    "CREATE INDEX ix_directs_high ON directs (high)",
    """
    CREATE TABLE mls_groups (
        room INTEGER NOT NULL PRIMARY KEY,
        group_id BLOB NOT NULL,
        epoch BIGINT NOT NULL,
        info BLOB NOT NULL,
        seq BIGINT NOT NULL,
        rejoined BOOLEAN NOT NULL,
        CONSTRAINT uq_mls_groups_group_id UNIQUE (group_id),
        CONSTRAINT fk_mls_groups_room FOREIGN KEY (room) REFERENCES rooms (id)
    )
    """,
    """
    CREATE TABLE group_nodes (
        room INTEGER NOT NULL,
        node INTEGER NOT NULL,
        from_epoch BIGINT NOT NULL,
        to_epoch BIGINT,
        data BLOB NOT NULL,
        PRIMARY KEY (room, node, from_epoch),
        CONSTRAINT fk_group_nodes_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    "CREATE INDEX ix_group_nodes_room_to_epoch ON group_nodes (room, to_epoch)",
    """
    CREATE TABLE group_leaves (
        room INTEGER NOT NULL,
        leaf INTEGER NOT NULL,
        from_epoch BIGINT NOT NULL,
        to_epoch BIGINT,
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        signature_key BLOB NOT NULL,
        PRIMARY KEY (room, leaf, from_epoch),
        CONSTRAINT fk_group_leaves_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    """
    CREATE INDEX ix_group_leaves_account_device_id_room
        ON group_leaves (account, device_id, room)
    """,
    """
    CREATE TABLE group_epochs (
        room INTEGER NOT NULL,
        epoch BIGINT NOT NULL,
        at BIGINT NOT NULL,
        context BLOB NOT NULL,
        PRIMARY KEY (room, epoch),
        CONSTRAINT fk_group_epochs_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    "CREATE INDEX ix_group_epochs_at ON group_epochs (at)",
    """
    CREATE TABLE group_proposals (
        room INTEGER NOT NULL,
        seq BIGINT NOT NULL,
        leaf INTEGER,
        data BLOB NOT NULL,
        PRIMARY KEY (room, seq),
        CONSTRAINT fk_group_proposals_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    """
    CREATE TABLE group_removals (
        room INTEGER NOT NULL,
        leaf INTEGER NOT NULL,
        account BLOB NOT NULL,
        device_id BLOB NOT NULL,
        reason BLOB NOT NULL,
        because SMALLINT NOT NULL,
        proposed BOOLEAN NOT NULL,
        PRIMARY KEY (room, leaf),
        CONSTRAINT fk_group_removals_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
    "CREATE INDEX ix_group_removals_account ON group_removals (account)",
    """
    CREATE TABLE group_bodies (
        room INTEGER NOT NULL,
        seq BIGINT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (room, seq),
        CONSTRAINT fk_group_bodies_room FOREIGN KEY (room) REFERENCES mls_groups (room)
    )
    """,
)
