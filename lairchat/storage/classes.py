"""What the server learns: each column of its database, classed, with what whoever has it learns.

``docs/e2ee.rst`` prints this table.  A column without a fact fails tests/storage/test_classes.py: put
it where it belongs, and say what a reader who trusts nobody would want to know of it.
"""

from enum import StrEnum
from typing import Final

from lairchat.model.stored import Class, Fact

__all__ = ["FACTS", "FILES", "About"]


class About(StrEnum):
    """What a reader asks about, in the order of the page."""

    ACCOUNT = "About an account"
    DEVICE = "About a device"
    ROOM = "About every room, encrypted or not"
    ENCRYPTED = "About an encrypted room"
    MESSAGE = "About each message in an encrypted room"
    REPORTED = "About a message or change that a member reports to the operators"
    PLAIN = "What stays clear in plain rooms"
    OPERATION = "About the server itself"
    FILES = "Files of the server"


def _of(table: str, *columns: str) -> tuple[str, ...]:
    return tuple(f"{table}.{column}" for column in columns)


FACTS: Final = (
    # -- accounts
    Fact(
        About.ACCOUNT,
        Class.CLEAR,
        "what somebody is called, and how the name looks",
        _of("users", "name", "name_key", "skeleton"),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "that there is an account, since when, and what it may do on the server",
        _of("users", "id", "role", "state", "created_at"),
    ),
    Fact(
        About.ACCOUNT,
        Class.HASHED,
        "whether a guessed password is right, at the price of two Argon2id hashes a guess",
        _of("users", "secret"),
    ),
    Fact(
        About.ACCOUNT,
        Class.CLEAR,
        "why an operator locked or banned somebody",
        ("users.lock_reason", "server_bans.reason"),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "which accounts and networks are kept out, by whom and until when",
        (
            "users.locked_until",
            *_of("server_bans", "id", "network", "user", "banned_by", "banned_at", "until"),
        ),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "who invited whom to the server, and for whom a name is kept",
        _of("invites", "id", "role", "uses", "created_by", "created_at", "expires_at", "account"),
    ),
    Fact(About.ACCOUNT, Class.CLEAR, "the name that is kept", _of("invites", "name", "skeleton")),
    Fact(About.ACCOUNT, Class.HASHED, "whether a guessed code invites", _of("invites", "code")),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "whose invitations somebody does not want to hear of",
        _of("mutes", "user", "other", "muted_at"),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "which identity an account has had and since when, and its public keys",
        (
            *_of("account_logs", "id", "user", "account", "head", "hash", "current", "started_at"),
            *_of("account_entries", "log", "position", "data"),
        ),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "how often a login failed, and when",
        _of("login_attempts", "failures", "last_at", "until"),
    ),
    Fact(
        About.ACCOUNT,
        Class.HASHED,
        "for which of the accounts and networks that one can think of",
        _of("login_attempts", "key"),
    ),
    # -- devices
    Fact(
        About.DEVICE,
        Class.CLEAR,
        "what its owner calls it",
        ("devices.label", "account_entries.data"),
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "whose it is, when it was linked, proven, revoked and used last",
        (
            *_of("devices", "id", "user", "created_at"),
            *_of("sessions", "id", "user", "device", "created_at", "used_at"),
            *_of("proven_devices", "session", "device", "log", "device_id"),
        ),
        "entries of the account's log",
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "the address it connects from, and from when to when it is online",
        elsewhere="memory, while it is connected; the log has the network of one that broke the "
        "protocol",
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "the first half of a token, by which a session is looked up",
        _of("sessions", "lookup"),
    ),
    Fact(
        About.DEVICE,
        Class.HASHED,
        "whether a guess at 256 random bits logs in",
        _of("sessions", "current", "next"),
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "how many key packages it has left, and which public keys they bring",
        _of(
            *("key_packages", "id", "account", "device_id"),
            *("init", "last_resort", "expires_at", "data"),
        ),
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "which device sent it a welcome, or a note to link or to verify, and when",
        (
            *_of("inboxes", "account", "device_id", "head", "dropped"),
            *_of("inbox_entries", "account", "device_id", "seq", "kind", "at"),
            *_of("inbox_entries", "sender", "sender_device"),
        ),
    ),
    Fact(
        About.DEVICE,
        Class.CIPHERTEXT,
        "for which key package a welcome is; of what it welcomes to, nothing",
        _of("inbox_entries", "body"),
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "of a note: commitments, nonces and public keys that two devices compare",
        _of("inbox_entries", "body"),
    ),
    Fact(
        About.ACCOUNT,
        Class.METADATA,
        "that it backs encrypted rooms up, in how many pieces, how large each is and when it changed",
        _of("keepsakes", "account", "name", "digest", "size", "at"),
    ),
    Fact(
        About.ACCOUNT,
        Class.CIPHERTEXT,
        "of what the backup holds, nothing; with the recovery words, or the backup key of a device, "
        "all of it",
        _of("keepsakes", "data"),
    ),
    Fact(
        About.DEVICE,
        Class.METADATA,
        "that it tells the account's other devices how far it has read, and when it does, at most "
        "every 10 seconds; the time is not kept",
        _of("reading_slots", "account", "device_id"),
    ),
    Fact(
        About.DEVICE,
        Class.CIPHERTEXT,
        "of which rooms and how far, nothing but roughly how many rooms; with the recovery words, or "
        "the backup key of a device, all of it",
        _of("reading_slots", "data"),
    ),
    # -- rooms
    Fact(
        About.ROOM,
        Class.METADATA,
        "that it is there, of which kind, who made it and when, and how many are in it",
        _of(
            *("rooms", "id", "kind", "access", "posting", "crypto", "members"),
            *("created_by", "created_at", "archived_at", "erased_to"),
        ),
    ),
    Fact(
        About.ROOM,
        Class.METADATA,
        "who is in it and since when",
        _of("memberships", "room", "user", "joined_at"),
    ),
    Fact(
        About.ROOM,
        Class.METADATA,
        "which two people have a direct conversation, and which one follows another",
        _of("directs", "low", "high", "room", "crypto", "nth"),
    ),
    Fact(
        About.ROOM,
        Class.METADATA,
        "how much has happened in it, and the hash of that",
        _of("log_heads", "room", "seq", "hash", "messages"),
    ),
    Fact(
        About.ROOM,
        Class.METADATA,
        "how far each device has read, as far as it says so",
        _of("log_cursors", "reader", "room", "device", "seq", "messages"),
    ),
    # -- encrypted rooms
    Fact(
        About.ENCRYPTED,
        Class.METADATA,
        "its group, the epoch it is in, who is administrator or moderator, who may add, "
        "what newcomers may read",
        (
            *_of("mls_groups", "room", "group_id", "epoch", "info", "seq", "rejoined"),
            *_of("group_epochs", "room", "epoch", "at", "seq", "context"),
        ),
    ),
    Fact(
        About.ENCRYPTED,
        Class.METADATA,
        "which devices were in it, from when to when, and their public keys",
        (
            *_of("group_leaves", "room", "leaf", "from_epoch", "to_epoch"),
            *_of("group_leaves", "account", "device_id", "signature_key"),
            *_of("group_nodes", "room", "node", "from_epoch", "to_epoch", "data"),
        ),
    ),
    Fact(
        About.ENCRYPTED,
        Class.METADATA,
        "who adds whom, who removes whom and for which reason, and when",
        (
            *_of("group_proposals", "room", "seq", "leaf", "data"),
            *_of("group_removals", "room", "leaf", "account", "device_id"),
            *_of("group_removals", "reason", "because", "proposed"),
            *_of("group_bodies", "room", "seq", "data"),
            *("log_events.body", "blob_chunks.data"),
        ),
        "bodies of commits and proposals, and the server's own statements of who made the room",
    ),
    Fact(
        About.ENCRYPTED,
        Class.CIPHERTEXT,
        "of the secrets that a commit hands to the other devices, nothing",
        ("group_bodies.data", "log_events.body", "blob_chunks.data"),
    ),
    Fact(
        About.ENCRYPTED,
        Class.METADATA,
        "who is invited by whom, who has accepted and waits to be added, and since when",
        _of("invitations", "room", "user", "invited_by", "invited_at", "accepted_at"),
    ),
    Fact(
        About.ENCRYPTED,
        Class.METADATA,
        "whose codes lead into it, how many people may use each and until when; who knocks with "
        "one, since when and with which devices; of the secret in a code, nothing",
        (
            *_of("group_codes", "locator", "room", "offered_by", "uses", "used", "until"),
            *_of("group_knocks", "room", "user", "locator", "at", "body", "packages"),
        ),
    ),
    # -- messages of encrypted rooms
    Fact(
        About.MESSAGE,
        Class.METADATA,
        "who sent it with which device, when, into which room, in which order",
        _of("log_events", "room", "seq", "at", "sender", "device", "messages", "id", "hash"),
    ),
    Fact(
        About.MESSAGE,
        Class.METADATA,
        "that it is a message, a commit, a proposal, or a hint of which message was deleted and by "
        "whom; never whether a text, an edit, a reaction, a poll, a name or a topic",
        _of("log_events", "kind"),
    ),
    Fact(
        About.MESSAGE,
        Class.CIPHERTEXT,
        "its length, rounded up: to 256 bytes, then in steps of at most an eighth",
        _of("log_events", "body"),
    ),
    Fact(
        About.MESSAGE,
        Class.METADATA,
        "of a purged one, the hash of its body",
        _of("log_events", "digest"),
    ),
    Fact(
        About.MESSAGE,
        Class.METADATA,
        "which command of a device was answered, when, with which place in which log",
        _of("log_answers", "command", "device", "room", "seq", "at"),
    ),
    Fact(
        About.MESSAGE,
        Class.CIPHERTEXT,
        "that somebody types, or the like; of what, nothing",
        elsewhere="passes through memory, and is not kept",
    ),
    # -- what members show of encrypted rooms
    Fact(
        About.REPORTED,
        Class.CLEAR,
        "that one message as its author signed it, with the signature and its author's clock; nothing "
        "of the others",
        _of("reports", "content"),
    ),
    Fact(
        About.REPORTED,
        Class.CLEAR,
        "what whoever reports it says of it, and why a change was refused",
        _of("reports", "reason", "why"),
    ),
    Fact(
        About.REPORTED,
        Class.METADATA,
        "who reports whom, in which room, when, and who has resolved it when; a month after that it is "
        "deleted",
        _of(
            *("reports", "id", "room", "reporter", "author", "device", "epoch", "seq"),
            *("digest", "at", "resolved_at", "resolved_by"),
        ),
    ),
    # -- plain rooms
    Fact(
        About.PLAIN,
        Class.CLEAR,
        "everything that is said; who joined, left, was kicked or banned, and why",
        _of("log_events", "body"),
    ),
    Fact(
        About.PLAIN,
        Class.CLEAR,
        "its name and topic; both are empty for an encrypted room",
        _of("rooms", "name", "name_key", "topic"),
    ),
    Fact(
        About.PLAIN,
        Class.METADATA,
        "who may do what in it; in an encrypted room everybody is a member here, and the roles are "
        "those of the signed policy",
        _of("memberships", "role"),
    ),
    Fact(
        About.PLAIN,
        Class.METADATA,
        "who was invited into it by whom, and has not answered",
        _of("invitations", "room", "user", "invited_by", "invited_at"),
    ),
    Fact(
        About.PLAIN,
        Class.METADATA,
        "who is banned from it, by whom and since when",
        _of("bans", "room", "user", "banned_by", "banned_at"),
    ),
    Fact(About.PLAIN, Class.CLEAR, "the reason of a ban", _of("bans", "reason")),
    Fact(
        About.PLAIN,
        Class.CLEAR,
        "the answer to a command that is given again when it is repeated, names of rooms among it",
        _of("log_answers", "body"),
    ),
    # -- the server
    Fact(
        About.OPERATION,
        Class.METADATA,
        "who uploaded how much, and when; the bytes are those of commits and welcomes, until they "
        "are sent",
        (
            *_of("blobs", "id", "owner", "blob", "total", "received"),
            *_of("blobs", "digest", "complete", "created_at"),
            *_of("blob_chunks", "blob", "position"),
        ),
    ),
    Fact(
        About.OPERATION,
        Class.METADATA,
        "which keys open the operators' shell, whose they are, and when each was used last",
        _of("user_keys", "id", "user", "digest", "kind", "added_by", "added_at", "used_at"),
    ),
    Fact(About.OPERATION, Class.CLEAR, "what such a key is called", _of("user_keys", "label")),
    Fact(
        About.OPERATION,
        Class.METADATA,
        "the version of the schema, and the highest numbers given",
        ("alembic_version.version_num", *_of("sqlite_sequence", "name", "seq")),
    ),
)
"""Everything that the server's database tells, and what passes through its memory."""

FILES: Final = tuple(
    Fact(About.FILES, kind, learns, elsewhere=name)
    for name, kind, learns in (
        ("lair.db", Class.CLEAR, "all that the tables above say, with lair.db-wal and lair.db-shm"),
        ("backups", Class.CLEAR, "what the database had at the time of each"),
        (
            "lairchat.log",
            Class.CLEAR,
            "what operators typed and from where, names of accounts and plain rooms among it; who reported",
        ),
        (
            "lairchat.log",
            Class.METADATA,
            "which account, by its number, came or failed to; the network of who broke the protocol",
        ),
        (
            "identity.pem",
            Class.SECRET,
            "how to pass for this server, to those who have pinned it too",
        ),
        ("tls.pem", Class.SECRET, "how to end its TLS connections"),
        ("ssh_host_ed25519_key", Class.SECRET, "how to pass for its operators' shell"),
        ("owner-link", Class.SECRET, "how to become the owner, until somebody has"),
        ("lairchat.pid", Class.METADATA, "that the server runs"),
        ("lock", Class.METADATA, "nothing"),
        ("control", Class.METADATA, "nothing: a socket for the daemon's own account and root"),
    )
)
"""Every file of a server's data directory, by its name."""
