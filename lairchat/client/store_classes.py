"""What a device keeps: each column of its store and each file beside it, classed.

The store as a whole is ciphertext on the disk; a class here says what a column is once the store is
open.  ``docs/e2ee.rst`` prints this table.  A column without a fact fails
tests/client/test_store_classes.py: put it where it belongs, and say what it tells.
"""

from enum import StrEnum
from typing import Final

from lairchat.model.stored import Class, Fact

__all__ = ["FACTS", "FILES", "STORE", "About"]


class About(StrEnum):
    """What a reader asks about, in the order of the page."""

    SAID = "In the store: what was said"
    ROOMS = "In the store: rooms and people"
    KEYS = "In the store: keys"
    FILES = "Files beside the store"


def _of(table: str, *columns: str) -> tuple[str, ...]:
    return tuple(f"{table}.{column}" for column in columns)


STORE: Final = (
    Fact(
        About.SAID,
        Class.CLEAR,
        "texts, polls and what else was said, until they are deleted or their time is over",
        _of("messages", "body", "text"),
    ),
    Fact(
        About.SAID,
        Class.CLEAR,
        "the words of those texts, to be found by",
        (
            *_of("found", "text", "found", "rank"),
            *_of("found_data", "id", "block"),
            *_of("found_idx", "segid", "term", "pgno"),
            *_of("found_config", "k", "v"),
        ),
    ),
    Fact(
        About.SAID,
        Class.CLEAR,
        "what others have said once more, as they signed it: whoever has it can prove to anybody that they "
        "did. It goes with the text, and is in no backup",
        ("messages.proof",),
    ),
    Fact(
        About.SAID,
        Class.METADATA,
        "who said something when, in which order, and whether it was edited or deleted",
        (
            *_of("messages", "number", "room", "seq", "device", "role", "at"),
            *_of("messages", "edited", "deleted_by", "expires", "gone_at"),
            *_of("events", "room", "seq", "hash", "author", "id"),
        ),
    ),
    Fact(
        About.SAID,
        Class.CLEAR,
        "reactions and votes",
        (
            *_of("reactions", "message", "emoji", "author"),
            *_of("votes", "message", "author", "pick"),
        ),
    ),
    Fact(
        About.SAID,
        Class.CLEAR,
        "what has been typed and not been sent yet",
        ("drafts.text", "outbox.body"),
    ),
    Fact(
        About.SAID,
        Class.METADATA,
        "for whom and when it was typed, and how far it has come",
        (
            "drafts.room",
            *_of("outbox", "number", "room", "id", "at", "expires", "lock", "state"),
            *_of("outbox", "count", "role", "seq"),
            *_of("audiences", "message", "name", "account"),
        ),
    ),
    Fact(
        About.SAID,
        Class.CIPHERTEXT,
        "a message as it leaves, and the hash by which it is known again",
        ("outbox.sealed", *_of("sealings", "room", "digest", "id", "at")),
    ),
    Fact(
        About.SAID,
        Class.METADATA,
        "how far was read, and how long things stay",
        (*_of("reads", "room", "seq"), *_of("timers", "room", "seconds")),
    ),
    Fact(
        About.SAID,
        Class.METADATA,
        "which rooms and days are in the backup, and which have changed since",
        (
            *_of("unsaved", "room", "day", "part", "changes"),
            *_of("saved", "room", "day", "part", "name"),
        ),
    ),
    Fact(
        About.ROOMS,
        Class.CLEAR,
        "names and topics of rooms",
        _of("names", "name", "topic"),
    ),
    Fact(
        About.ROOMS,
        Class.METADATA,
        "which rooms this device is and was in, how far it has followed each, and which devices it has"
        " heard there when",
        (
            "names.room",
            *_of("rooms", "room", "server_key", "seq", "hash", "count", "sent"),
            *_of("rooms", "renewed_at", "halted", "behind", "ended_at", "unclean"),
            *_of("numbers", "room", "count"),
            *_of("lived", "group_id", "epoch", "refused"),
            *_of("trees", "hash", "data"),
            *_of("epochs", "id", "room", "place", "tree"),
            *_of("rooms", "listening", "listened"),
            *_of("counts", "room", "device", "count"),
            *_of("heard", "room", "device", "at"),
        ),
    ),
    Fact(
        About.ROOMS,
        Class.METADATA,
        "who came into rooms and went, and what else changed in them",
        _of("changes", "number", "room", "seq", "at", "text"),
    ),
    Fact(
        About.ROOMS,
        Class.METADATA,
        "what this device has done once, such as showing the recovery words; whom members have invited,"
        " and what rooms were that it has been put out of",
        _of("facts", "name"),
    ),
    Fact(
        About.ROOMS,
        Class.METADATA,
        "whom this person talks to, who was verified, and why sending is held",
        (
            *_of("logs", "account", "data", "position", "hash"),
            *_of("pins", "name", "account", "sureness", "changed"),
            *_of("holds", "room", "cause", "name"),
        ),
    ),
    Fact(
        About.ROOMS,
        Class.METADATA,
        "whose store it is, on which server",
        (
            *_of("profile", "id", "server", "account", "file", "clean", "stale", "inbox"),
            *_of("device", "id", "account", "device", "number"),
        ),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "how to pass for this device, and on a primary device how to certify others",
        _of("device", "signing", "signer"),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "the recovery words until they have been written down, and the key of the backup",
        _of("facts", "value"),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "how to enter the rooms that somebody adds this device to",
        _of("key_packages", "init_key", "encryption_key"),
    ),
    Fact(
        About.KEYS,
        Class.METADATA,
        "the public part of key packages, and when they end",
        _of(
            *("key_packages", "reference", "package", "last_resort"),
            *("made_at", "until", "uploaded"),
        ),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "how to read and write in this epoch, the one before, and one that is being committed",
        ("rooms.pending", "epochs.part"),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "how to read messages that have not come yet; used keys are erased",
        _of("ratchets", "epoch", "purpose", "place", "generation", "data"),
    ),
    Fact(
        About.KEYS,
        Class.SECRET,
        "codes that let somebody into a room, and whom they may have let in",
        (
            *_of("invitations", "locator", "room", "secret", "uses", "until", "told"),
            *_of("admitted", "locator", "seq", "account"),
            *_of("requests", "locator", "secret", "at"),
        ),
    ),
)
"""Everything that a store tells whoever has opened it."""

_FILES: Final = (
    (
        "store.db",
        Class.CIPHERTEXT,
        "how large the store is and when it was used; so do store.db-wal and other files of its name",
    ),
    (
        "store.key",
        Class.CIPHERTEXT,
        "whether a guessed password opens the store, at the price of Argon2id over 64 MiB",
    ),
    ("session.json", Class.SECRET, "the account's name, and how to log in as this session"),
    (
        "outbox.json",
        Class.CLEAR,
        "what is to be sent into plain rooms and has not been acknowledged",
    ),
    (
        "encrypted.json",
        Class.METADATA,
        "the numbers of the rooms that were ever encrypted, which the server knows as well",
    ),
    ("settings.json", Class.METADATA, "which settings were changed"),
    ("servers.json", Class.METADATA, "which servers and accounts are used, and their identities"),
    ("last.json", Class.METADATA, "which of them was used last"),
    ("lock", Class.METADATA, "that a client runs"),
    ("servers.lock", Class.METADATA, "nothing"),
    ("socket", Class.METADATA, "that a client runs; what it takes comes from this account only"),
)

FILES: Final = tuple(
    Fact(About.FILES, kind, learns, elsewhere=name) for name, kind, learns in _FILES
)
"""Every file of a profile, by its name."""

FACTS: Final = (*STORE, *FILES)
"""Everything that lies on the disk of a device."""
