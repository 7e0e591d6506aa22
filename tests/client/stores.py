"""Devices whose state is in a store, in rooms with devices that have theirs in memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from lairchat.client import store_messages
from lairchat.client.profile import Profile
from lairchat.client.store import Store
from lairchat.client.store_outbox import Letter
from lairchat.client.store_people import OwnDevice
from lairchat.e2ee.fold import Message, Said
from lairchat.e2ee.payload import Known, Text
from lairchat.e2ee.rejoining import Rejoined, rejoin
from lairchat.e2ee.room import Happening, Own
from lairchat.mls.messages import encode_message
from lairchat.model.events import EventClass
from lairchat.trust.locks import Audience, Lock
from lairchat.trust.log import encode_log
from lairchat.trust.policy import Role
from lairchat.trust.secret import SecretBytes
from tests.e2ee.devices import NOW, ROOM, Client, Server
from tests.trust.people import SERVER
from tests.trust.rooms import SERVER_KEY, Person, signing_seed

MASTER = SecretBytes(bytes(range(32)))
AUDIENCE = Audience(Lock.E2E, frozenset({("bob", b"b" * 32), ("carol", None)}))


def profile(root: Path, name: str = "alice") -> Profile:
    """Return a locked profile."""
    found = Profile(root, SERVER, name)
    found.lock()
    return found


@contextmanager
def opened(root: Path, name: str = "alice", master: SecretBytes = MASTER) -> Iterator[Store]:
    """Open the store of a profile, and close it in order."""
    held = profile(root, name)
    try:
        store = Store.open(held, master)
        yield store
        store.close()
    finally:
        held.unlock()


def encoded(person: Person) -> bytes:
    """Return somebody's account log as the server gives it."""
    return encode_log(person.account.genesis, person.account.entries)


def move_in(store: Store, client: Client) -> None:
    """Put into a store what a device has in memory."""
    person = client.person
    store.people.keep_own(
        OwnDevice(
            person.identity(client.number), SecretBytes(signing_seed(person.name, client.number))
        )
    )
    for known in client.server.people.values():
        store.people.learn_log(encoded(known))
    store.enter(client.room)


def letter(body: Known | str, id: bytes | None = None, expires: int = 0) -> Letter:  # noqa: A002
    """Return something that was just typed."""
    said = Text(body) if isinstance(body, str) else body
    return Letter(ROOM, id or os.urandom(16), said, NOW, AUDIENCE, expires)


def seal(store: Store, person: Person, what: Letter) -> bytes:
    """Seal and keep a message; return the bytes that may now leave."""
    room = store.room(ROOM)
    assert room is not None
    sealed, after = room.seal(
        what.body, what.id, person.log, NOW, os.urandom, expires=what.expires, again=what.count
    )
    store.send(after, what, sealed, NOW)
    return sealed


def renewed(store: Store) -> None:
    """Take rooms as if new keys had come: for what has to hold without them as well."""
    with store._database.writing() as connection:
        connection.execute("UPDATE rooms SET unclean = 0")


def blind(store: Store) -> None:
    """Put a device behind, as if it had missed a commit."""
    room = store.room(ROOM)
    assert room is not None
    with store._changed(replace(room, behind="it missed a commit")):
        pass


def rejoin_by(via: Client, client: Client, store: Store) -> Rejoined:
    """Return the commit by which a device enters its room again, from what the server has of it."""
    group, room = via.room.group, store.room(ROOM)
    assert room is not None
    return rejoin(
        ROOM,
        SERVER_KEY.public,
        encode_message(group.group_info(with_tree=False)),
        group.public.tree.encode(),
        client.package(),
        store.people.logs,
        os.urandom,
        before=room.group,
    )


def say(store: Store, client: Client, body: Known | str, expires: int = 0) -> bytes:
    """Say something that then stands in the log; return its id."""
    what = letter(body, expires=expires)
    client.server.append(EventClass.APP, seal(store, client.person, what))
    follow(store, client.server)
    return what.id


def follow(store: Store, server: Server) -> list[Happening]:
    """Follow the room's log to its end, as a client does."""
    happened = []
    while (room := store.room(ROOM)) is not None and room.followed.seq < len(server.events):
        event = server.events[room.followed.seq]
        mine = store.sealed_here(ROOM, event.digest)
        if mine is not None:
            store.follow_own(room.sent_by_self(event, NOW), event, mine)
            happened.append(Own())
            continue
        after, happening = room.receive(
            event,
            store.people.logs,
            NOW,
            repeats=store.repeats(ROOM),
            hash_at=store.hash_at(ROOM),
        )
        store.follow(after, event, happening)
        happened.append(happening)
    return happened


def shown(store: Store) -> list[Message]:
    """Return all messages of the room."""
    return store.messages.before(ROOM, 2**60, 100_000)


def texts(store: Store) -> list[str | None]:
    """Return what the room shows."""
    return [message.text for message in shown(store)]


def fill(store: Store, said: list[str], room: int = 1) -> None:
    """Put texts into a room, without the cost of opening messages."""
    author, device = b"a" * 32, b"d" * 16
    with store._database.writing() as connection:
        (last,) = connection.execute("SELECT count(*) FROM events").fetchone()
        for seq, text in enumerate(said, last + 1):
            one = Said(seq, author, device, Role.MEMBER, seq.to_bytes(16, "big"), seq, Text(text))
            connection.execute(
                "INSERT INTO events (room, seq, hash, author, id) VALUES (?, ?, x'00', ?, ?)",
                (room, seq, author, one.id),
            )
            store_messages.write(connection, room, None, Message(one, text))


# What somebody finds who has the files and the key: every page that was ever written and is still
# there, by SQLCipher's description of its format, not by its code.

PAGE, RESERVED, SALT, TAG = 4096, 80, 16, 64


def decrypted(directory: Path, master: SecretBytes = MASTER) -> bytes:
    """Return all pages in the files of a store, free ones and those of the log as well."""
    data = (directory / "store.db").read_bytes()
    salt = data[:SALT]
    found = [
        _open(data[at : at + PAGE], at // PAGE + 1, salt, master)
        for at in range(0, len(data), PAGE)
    ]
    log = directory / "store.db-wal"
    frames = log.read_bytes()[32:] if log.exists() else b""
    for at in range(0, len(frames), PAGE + 24):
        number = int.from_bytes(frames[at : at + 4], "big")
        page = frames[at + 24 : at + 24 + PAGE]
        if number and len(page) == PAGE:
            found.append(_open(page, number, salt, master))
    return b"".join(found)


def _open(page: bytes, number: int, salt: bytes, master: SecretBytes) -> bytes:
    start = SALT if number == 1 else 0
    body, rest = page[start : PAGE - RESERVED], page[PAGE - RESERVED :]
    vector, tag = rest[:16], rest[16:]
    mixed = bytes(byte ^ 0x3A for byte in salt)
    key = PBKDF2HMAC(hashes.SHA512(), 32, mixed, 2).derive(master.reveal())
    mac = hmac.HMAC(key, hashes.SHA512())
    mac.update(body + vector + number.to_bytes(4, "little"))
    mac.verify(tag)
    opener = Cipher(algorithms.AES256(master.reveal()), modes.CBC(vector)).decryptor()
    return opener.update(body) + opener.finalize()
