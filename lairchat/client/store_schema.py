"""The tables of a device's store, step by step: what each version added, in literal DDL.

A step never changes once it has been released; the number of steps is the version.
"""

from typing import Final

_FIRST: Final = (
    # file: which file this was when it was opened last, so that a copy of it is noticed.
    # clean: whether it was closed in order.  stale: whether the index of the search still knows how
    # deleted words began.  inbox: up to where this device's inbox has been worked through.
    """
    CREATE TABLE profile (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        server BLOB NOT NULL,
        account TEXT NOT NULL,
        file TEXT NOT NULL DEFAULT '',
        clean INTEGER NOT NULL DEFAULT 1,
        stale INTEGER NOT NULL DEFAULT 0,
        inbox INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    # signing: the private MLS signature key.  signer: the private device-signing key, of a primary
    # device.  number: by which the server knows this device.
    """
    CREATE TABLE device (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        account BLOB NOT NULL,
        device BLOB NOT NULL,
        signing BLOB NOT NULL,
        signer BLOB,
        number INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE logs (
        account BLOB PRIMARY KEY,
        data BLOB NOT NULL,
        position INTEGER NOT NULL,
        hash BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE pins (
        name TEXT PRIMARY KEY,
        account BLOB NOT NULL,
        sureness INTEGER NOT NULL,
        changed BLOB
    ) STRICT
    """,
    """
    CREATE TABLE holds (
        room INTEGER NOT NULL,
        cause TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (room, cause, name)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE key_packages (
        reference BLOB PRIMARY KEY,
        package BLOB NOT NULL,
        init_key BLOB NOT NULL,
        encryption_key BLOB NOT NULL,
        last_resort INTEGER NOT NULL,
        made_at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        uploaded INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    # pending: the commit that is under way.  ended_at: when the end of the epoch before was followed.
    # unclean: how many commits of this device's come before the next message; 2 if one was under way.
    """
    CREATE TABLE rooms (
        room INTEGER PRIMARY KEY,
        server_key BLOB NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        count INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        renewed_at INTEGER NOT NULL,
        halted TEXT,
        behind TEXT,
        pending BLOB,
        ended_at INTEGER,
        unclean INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    # How many messages this device had sealed in rooms that it has left: others count on.
    "CREATE TABLE numbers (room INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT",
    # The last epoch that this device was in of each group, rooms that it has left among them.
    # refused: whether a commit of the group was, so that no way leads into it any more.
    """
    CREATE TABLE lived (
        group_id BLOB PRIMARY KEY,
        epoch INTEGER NOT NULL,
        refused INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE trees (hash BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT",
    # place: 0 the epoch now, 1 the one before, 2 the one that the pending commit begins.
    """
    CREATE TABLE epochs (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
        place INTEGER NOT NULL,
        part BLOB NOT NULL,
        tree BLOB NOT NULL REFERENCES trees,
        UNIQUE (room, place)
    ) STRICT
    """,
    "CREATE INDEX epochs_tree ON epochs (tree)",
    """
    CREATE TABLE ratchets (
        epoch INTEGER NOT NULL REFERENCES epochs ON DELETE CASCADE,
        purpose INTEGER NOT NULL,
        place INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (epoch, purpose, place, generation)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE counts (
        room INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
        device BLOB NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (room, device)
    ) STRICT, WITHOUT ROWID
    """,
    # hash: of the chain, up to here; empty where a message is known from the backup alone.  author, id: of the message that it was, to know its repeats.
    """
    CREATE TABLE events (
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        author BLOB,
        id BLOB,
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX events_message ON events (room, author, id) WHERE id IS NOT NULL",
    # body: null for a text that is all of itself, empty for what this program does not know.
    # text: null once it is deleted.  expires: seconds from reading; gone_at: when that is, ms.
    """
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        device BLOB NOT NULL,
        role INTEGER NOT NULL,
        at INTEGER NOT NULL,
        body BLOB,
        text TEXT,
        edited INTEGER NOT NULL DEFAULT 0,
        deleted_by BLOB,
        expires INTEGER NOT NULL DEFAULT 0,
        gone_at INTEGER,
        UNIQUE (room, seq),
        FOREIGN KEY (room, seq) REFERENCES events ON DELETE CASCADE
    ) STRICT
    """,
    "CREATE INDEX messages_gone ON messages (gone_at) WHERE gone_at IS NOT NULL",
    """
    CREATE TABLE reactions (
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        emoji TEXT NOT NULL,
        author BLOB NOT NULL,
        PRIMARY KEY (message, emoji, author)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE votes (
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        author BLOB NOT NULL,
        pick INTEGER NOT NULL,
        PRIMARY KEY (message, author, pick)
    ) STRICT, WITHOUT ROWID
    """,
    # Beside the messages, whose text it does not hold a second time.
    """
    CREATE VIRTUAL TABLE found USING fts5 (
        text,
        content = 'messages',
        content_rowid = 'number',
        columnsize = 0,
        tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
    # Or the words of a deleted message would stay in the index until it is merged.
    "INSERT INTO found (found, rank) VALUES ('secure-delete', 1)",
    # What changed in a room, in words, at its place among the messages.  at: ms.
    """
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        text TEXT NOT NULL,
        UNIQUE (room, seq, text)
    ) STRICT
    """,
    # count, role, sealed: once it is sealed.  seq: once the server has taken it.
    """
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        id BLOB NOT NULL UNIQUE,
        body BLOB NOT NULL,
        at INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        lock TEXT NOT NULL,
        state INTEGER NOT NULL,
        count INTEGER,
        role INTEGER,
        sealed BLOB,
        seq INTEGER
    ) STRICT
    """,
    # Who a message was typed for; account: null if it was not known yet.
    """
    CREATE TABLE audiences (
        message BLOB NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        account BLOB
    ) STRICT
    """,
    "CREATE INDEX audiences_message ON audiences (message)",
    # By which one's own messages are known again in the log, those sealed anew as well.
    """
    CREATE TABLE sealings (
        room INTEGER NOT NULL,
        digest BLOB NOT NULL,
        id BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (room, digest)
    ) STRICT, WITHOUT ROWID
    """,
    # Codes that let people into a room this device is in.
    """
    CREATE TABLE invitations (
        locator BLOB PRIMARY KEY,
        room INTEGER NOT NULL,
        secret BLOB NOT NULL,
        uses INTEGER NOT NULL,
        until INTEGER NOT NULL
    ) STRICT
    """,
    # Codes by which this device has asked to be let in.
    """
    CREATE TABLE requests (
        locator BLOB PRIMARY KEY,
        secret BLOB NOT NULL,
        at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE names (
        room INTEGER PRIMARY KEY,
        name TEXT NOT NULL DEFAULT '',
        topic TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE TABLE drafts (room INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    "CREATE TABLE reads (room INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT",
    # How long what is said in a room stays once it is read, seconds.
    "CREATE TABLE timers (room INTEGER PRIMARY KEY, seconds INTEGER NOT NULL) STRICT",
    # Small things that a device has to remember, by name.
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
)

# Triggers, so that nothing that changes what was said can forget to: a transaction that is written has
# marked its place as well.  A message that disappears is not backed up.
_UNSAVED: Final = """
    INSERT INTO unsaved (room, day, part, changes)
        SELECT room, at / 86400000, seq / 128, 1 FROM messages WHERE {which}
        ON CONFLICT (room, day, part) DO UPDATE SET changes = changes + 1;
"""

_BACKUP: Final = (
    # Which chunks of the backup are not as this store is.  changes: counts, so that one that comes
    # while a chunk is on its way is not taken for saved.
    """
    CREATE TABLE unsaved (
        room INTEGER NOT NULL,
        day INTEGER NOT NULL,
        part INTEGER NOT NULL,
        changes INTEGER NOT NULL,
        PRIMARY KEY (room, day, part)
    ) STRICT, WITHOUT ROWID
    """,
    # Which object of the backup this store has all of, by what it has.
    """
    CREATE TABLE saved (
        room INTEGER NOT NULL,
        day INTEGER NOT NULL,
        part INTEGER NOT NULL,
        name BLOB NOT NULL,
        PRIMARY KEY (room, day, part)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO unsaved (room, day, part, changes)
        SELECT DISTINCT room, at / 86400000, seq / 128, 1 FROM messages WHERE NOT expires
    """,
    *(
        f"CREATE TRIGGER {name} {when} BEGIN {_UNSAVED.format(which=which)} END"
        for name, when, which in (
            (
                "messages_said",
                "AFTER INSERT ON messages WHEN NOT NEW.expires",
                "number = NEW.number",
            ),
            (
                "messages_changed",
                "AFTER UPDATE OF body, text, edited ON messages WHEN NOT NEW.expires",
                "number = NEW.number",
            ),
            # Before, while it can still be looked up.
            (
                "messages_forgotten",
                "BEFORE DELETE ON messages WHEN NOT OLD.expires",
                "number = OLD.number",
            ),
            *(
                (
                    f"{table}_{what}",
                    f"AFTER {event} ON {table}",
                    f"number = {row}.message AND NOT expires",
                )
                for table in ("reactions", "votes")
                for what, event, row in (("set", "INSERT", "NEW"), ("unset", "DELETE", "OLD"))
            ),
        )
    ),
)

_HEARD: Final = (
    # listening: since when this device has followed the room without a long break; listened: when it
    # followed an event last; ms.
    "ALTER TABLE rooms ADD COLUMN listening INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE rooms ADD COLUMN listened INTEGER NOT NULL DEFAULT 0",
    # When each device was heard last, by this one's clock, ms; device: its account and its id.
    """
    CREATE TABLE heard (
        room INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
        device BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (room, device)
    ) STRICT, WITHOUT ROWID
    """,
)

_COUNTED: Final = (
    # told: whether the code stands in the room's log, from where on everybody counts its uses.
    "ALTER TABLE invitations ADD COLUMN told INTEGER NOT NULL DEFAULT 1",
    # Whom a code may have let in, and by the commit at which place of the log.
    """
    CREATE TABLE admitted (
        locator BLOB NOT NULL REFERENCES invitations ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        account BLOB NOT NULL,
        PRIMARY KEY (locator, seq, account)
    ) STRICT, WITHOUT ROWID
    """,
)

_PROVEN: Final = (
    # What the author has signed of the text as it stands, with the signature; null where nothing of that
    # was kept: one's own, from the backup, from before, deleted.
    "ALTER TABLE messages ADD COLUMN proof BLOB",
)

STEPS: Final = (_FIRST, _BACKUP, _HEARD, _COUNTED, _PROVEN)
"""What leads from each version to the next."""
