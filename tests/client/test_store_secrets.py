"""What is in a store is in no file in clear, and what was deleted is not there for who has the key."""

import os
import random
from pathlib import Path

import pytest

from lairchat.client.profile import Profile
from lairchat.client.store import Store
from lairchat.client.store_codes import Invitation
from lairchat.client.store_keys import spend
from lairchat.client.store_vault import unlock
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import Delete, Edit, Poll, React, RoomState, Target, Text
from lairchat.mls.secret_tree import Ratchet
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.secret import SecretBytes
from tests.client.stores import (
    MASTER,
    decrypted,
    fill,
    follow,
    letter,
    move_in,
    opened,
    profile,
    say,
    seal,
    shown,
)
from tests.e2ee.devices import NOW, ROOM, Client, talk
from tests.trust.people import SERVER
from tests.trust.rooms import signing_seed

ALPHABET = "bcdfghjklmnpqrstvwxz"


class Canaries:
    """Words that are nowhere by chance."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._random = random.Random(7)

    def word(self, length: int = 14) -> str:
        """Return a new one."""
        self.made.append("".join(self._random.choices(ALPHABET, k=length)))
        return self.made[-1]

    def in_(self, data: bytes) -> list[str]:
        """Return those that are in some bytes, in any way that text is kept."""
        low = data.lower()
        return [
            word
            for word in self.made
            if any(word.encode(way) in low for way in ("utf-8", "utf-16-le", "utf-16-be"))
        ]


def everything(directory: Path) -> bytes:
    """Return what is in all files of a profile."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def live(store: Store, alice: Client, bob: Client, canaries: Canaries) -> None:
    """Say, react, name, type: 200 words that nobody else shall find."""
    for _ in range(50):
        bob.say(f"{canaries.word()} {canaries.word()}")
    target = os.urandom(16)
    bob.say(canaries.word(), target)
    for _ in range(10):
        bob.say(React(Target(bob.person.id, target), canaries.word(limits.REACTION_CHARS)))
    for _ in range(10):
        bob.say(Edit(target, canaries.word()))
    follow(store, alice.server)
    for _ in range(15):
        say(store, alice, canaries.word())
    say(store, alice, Poll(canaries.word(), [canaries.word() for _ in range(10)]))
    for _ in range(6):
        say(store, alice, RoomState(canaries.word(), canaries.word() + " " + canaries.word()))
    bob.sync()
    for room in range(10):
        store.marks.keep_draft(100 + room, canaries.word())
    for _ in range(10):
        store.queue(letter(canaries.word()))
    for _ in range(4):
        seal(store, alice.person, letter(canaries.word()))
    for _ in range(15):
        store.people.keep_pin(Pin(canaries.word(), b"x" * 32, Sureness.LINK))


def test_nothing_that_was_said_is_in_any_file(tmp_path: Path) -> None:
    """While it is open, after kill -9 (what is there, is there), and closed."""
    alice, bob = talk("alice", "bob")
    canaries = Canaries()
    directory = Profile(tmp_path, SERVER, "alice").directory
    keys = [MASTER.reveal(), MASTER.reveal().hex().encode(), signing_seed("alice", 1)]
    with opened(tmp_path) as store:
        move_in(store, alice)
        live(store, alice, bob, canaries)
        assert len(canaries.made) >= 200
        room = store.room(ROOM)
        assert room is not None
        keys.append(room.group.secrets.exporter)
        keys += [
            part.secret if isinstance(part, Ratchet) else part
            for part in room.group.keys.parts.values()
        ]
        files = everything(directory)
        assert (directory / "store.db-wal").stat().st_size
        assert canaries.in_(files) == []
        assert not [key for key in keys if key in files]
    files = everything(directory)
    assert canaries.in_(files) == []
    assert not [key for key in keys if key in files]
    # Not because it would be nowhere: with the key it is there.
    assert len(canaries.in_(decrypted(directory))) > 150


def test_the_vault_says_nothing(tmp_path: Path) -> None:
    password = SecretBytes(os.urandom(32))
    held = profile(tmp_path)
    master = unlock(held, password, os.urandom)
    Store.open(held, master).close()
    held.unlock()
    files = everything(tmp_path)
    assert len(files) > 10_000
    for secret in (master.reveal(), password.reveal()):
        assert secret not in files
        assert secret.hex().encode() not in files


def test_what_was_deleted_is_on_no_page_for_who_has_the_key(tmp_path: Path) -> None:
    """Messages, the words that found them, edits, reactions, drafts, codes, what disappeared."""
    alice, bob = talk("alice", "bob")
    gone, stays = Canaries(), Canaries()
    stays._random.seed(8)
    directory = Profile(tmp_path, SERVER, "alice").directory
    with opened(tmp_path) as store:
        move_in(store, alice)
        targets = []
        for number in range(60):
            targets.append(os.urandom(16))
            bob.say(f"{gone.word()} {gone.word()}", targets[-1])
            bob.say(React(Target(bob.person.id, targets[-1]), gone.word()))
            bob.say(Edit(targets[-1], gone.word()))
            if number % 3 == 0:
                bob.say(f"{stays.word()} {stays.word()}")
        kept = os.urandom(16)
        bob.say(gone.word(), kept)
        bob.say(Edit(kept, stays.word()))
        vanishing, bob.room = bob.room.seal(
            Text(gone.word()), os.urandom(16), bob.person.log, NOW, os.urandom, expires=9
        )
        alice.server.append(EventClass.APP, vanishing)
        poll = os.urandom(16)
        bob.say(Poll(gone.word(), [gone.word(), gone.word()]), poll)
        follow(store, alice.server)
        say(store, alice, RoomState(gone.word(), gone.word()))
        say(store, alice, RoomState(stays.word(), stays.word()))
        typed = letter(gone.word())
        store.queue(typed)
        store.marks.keep_draft(ROOM, gone.word())
        code = Code(b"locator!", b"sixteen secrets!")
        store.codes.keep_invitation(Invitation(ROOM, code, 1, NOW + 1))
        assert len(gone.in_(decrypted(directory))) > 150
        bob.sync()
        for target in [*targets, poll]:
            bob.say(Delete(Target(bob.person.id, target)))
        follow(store, alice.server)
        assert store.take_back(typed.id)
        store.marks.keep_draft(ROOM, "")
        store.codes.keep_invitation(Invitation(ROOM, code, 0, 0))
        store.marks.read(ROOM, 10_000, NOW)
        store.expire(NOW + 9_000)
        # Out of all tables, the index's as well, at once ...
        assert gone.in_(tables(store)) == []
        assert set(stays.in_(tables(store))) == set(stays.made)
        # ... and from all pages, those of the log too, when there is a moment.
        store.purge()
        pages = decrypted(directory)
        assert gone.in_(pages) == []
        assert code.secret not in pages
        assert set(stays.in_(pages)) == set(stays.made)
        assert [message for message in shown(store) if message.text is not None]
    assert gone.in_(decrypted(directory)) == []


def test_the_index_does_not_know_how_deleted_words_began(tmp_path: Path) -> None:
    """FTS5 finds its pages by the beginnings of words, which no deletion takes out there."""
    gone, stays = Canaries(), Canaries()
    stays._random.seed(9)
    with opened(tmp_path) as store:
        fill(
            store,
            [f"{one.word()} {one.word()}" for _ in range(2_000) for one in (gone, stays)],
        )
        with store._database.writing() as connection:
            connection.execute("UPDATE messages SET gone_at = ? WHERE number % 2", (NOW,))
        assert len(store.expire(NOW)) == 2_000

        def begins() -> list[str]:
            with store._database.reading() as connection:
                rows = connection.execute("SELECT term FROM found_idx").fetchall()
            found = [bytes(term)[1:].decode() for (term,) in rows if len(term) > 3]
            return [
                term
                for term in found
                if any(word.startswith(term) for word in gone.made)
                and not any(word.startswith(term) for word in stays.made)
            ]

        assert begins(), "if FTS5 takes them out by now, purge can do without its rebuild"
        store.purge()
        assert begins() == []
        assert len(store.messages.search(stays.made[0], 5)) == 1
        assert store.messages.search(gone.made[0], 5) == []


def tables(store: Store) -> bytes:
    """Return what every table holds, those behind the index as well."""
    found = []
    with store._database.reading() as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        assert ("found_data",) in names
        for (name,) in names:
            for row in connection.execute(f"SELECT * FROM {name}"):
                found += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    return b"\n".join(found)


def test_used_keys_are_on_no_page_for_who_has_the_key(tmp_path: Path) -> None:
    """Else what was read could be read again by whoever takes the device."""
    alice, bob = talk("alice", "bob")
    directory = Profile(tmp_path, SERVER, "alice").directory
    used: list[bytes] = []

    def note(store: Store) -> None:
        room = store.room(ROOM)
        assert room is not None
        for part in room.group.keys.parts.values():
            if isinstance(part, Ratchet):
                used.append(part.secret)
                used.extend(key.key for key in part.skipped.values())
            else:
                used.append(part)
        used.extend(room.group.private.values())
        used.append(room.group.secrets.exporter)

    package = alice.package()
    with opened(tmp_path) as store:
        move_in(store, alice)
        store.keys.keep([package], NOW)
        used += [package.init_key, package.encryption_key]
        for number in range(5):
            bob.sync()
            note(store)
            bob.seal("skipped")
            bob.say(f"message {number}")
            follow(store, alice.server)
            note(store)
            say(store, alice, "answer")
            bob.sync()
            note(store)
            bob.commit()
            follow(store, alice.server)
        with store._database.writing() as connection:
            spend(connection, package.reference)
        bob.commit()
        bob.commit()
        follow(store, alice.server)
        before = len(used)
        note(store)
        now = set(used[before:])
        gone = set(used[:before]) - now
        assert len(gone) > 20
        assert any(key in decrypted(directory) for key in gone), "the log has them for a while"
        store.purge()
        pages = decrypted(directory)
        assert not [key for key in gone if key in pages]
        assert any(key in pages for key in now)
    assert not [key for key in gone if key in decrypted(directory)]


@pytest.mark.parametrize("crash", [False, True])
def test_a_purge_that_did_not_happen_is_made_up_for(tmp_path: Path, crash: bool) -> None:
    alice, bob = talk("alice", "bob")
    gone = Canaries()
    directory = Profile(tmp_path, SERVER, "alice").directory
    held = profile(tmp_path)
    store = Store.open(held, MASTER)
    move_in(store, alice)
    for _ in range(20):
        target = os.urandom(16)
        bob.say(gone.word(), target)
        bob.say(Delete(Target(bob.person.id, target)))
    follow(store, alice.server)
    if crash:
        store._database._connection.close()  # what was to be done is not
        held.unlock()
        held = profile(tmp_path)
        store = Store.open(held, MASTER)
    store.close()
    held.unlock()
    assert gone.in_(decrypted(directory)) == []
