"""What of a store is to be backed up, and what comes back into one and what does not."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lairchat.client import store_schema
from lairchat.client.store import Store
from lairchat.client.store_file import open_database
from lairchat.e2ee.backup import DAY_MS, PLACES, Place, RoomName, place_of
from lairchat.e2ee.fold import Message, Said
from lairchat.e2ee.payload import Delete, Edit, Poll, React, Target, Text, Vote
from lairchat.trust.policy import Role
from lairchat.trust.secret import SecretBytes
from tests.client.stores import MASTER, fill, follow, move_in, opened, profile, say, shown
from tests.client.stores import texts as texts_of
from tests.e2ee.devices import NOW, ROOM, talk

ELSEWHERE = 99


class Both:
    """Alice with a store, in a room with Bob."""

    def __init__(self, store: Store) -> None:
        self.alice, self.bob = talk("alice", "bob")
        self.store = store
        for _ in range(5):
            self.bob.say("before this store was made")
        self.alice.sync()
        move_in(store, self.alice)

    @property
    def here(self) -> int:
        room = self.store.room(ROOM)
        assert room is not None
        return room.followed.seq

    def hear(self, body: Any) -> bytes:
        """Have Bob say something, which Alice then has."""
        identity = os.urandom(16)
        self.bob.say(body, identity)
        follow(self.store, self.alice.server)
        return identity


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with opened(tmp_path) as store:
        yield Both(store)


def settle(store: Store) -> None:
    """Take all as saved."""
    written = [(place, changes, None) for place, changes in store.backups.unsaved().items()]
    store.backups.keep(1, b"index", written)
    assert store.backups.unsaved() == {}


def message(seq: int, text: str = "from the backup", **more: Any) -> Message:
    said = Said(seq, b"b" * 32, b"d" * 16, Role.MEMBER, os.urandom(16), NOW, Text(text))
    return replace(Message(said, text), **more)


def restore(store: Store, *messages: Message, room: int = ROOM) -> int:
    place = place_of(room, messages[0])
    return store.backups.restore(place, b"n" * 16, messages)


# -- what is to be saved


def test_what_is_said_marks_its_place_until_it_is_saved(both: Both) -> None:
    store = both.store
    both.hear("one")
    (place,) = store.backups.unsaved()
    assert place == Place(ROOM, NOW // DAY_MS, both.here // PLACES)
    assert [one.text for one in store.backups.messages(place)] == ["one"]
    changes = store.backups.unsaved()[place]
    # Another one comes while that is on its way.
    both.hear("two")
    store.backups.keep(4, b"index", [(place, changes, b"n" * 16)])
    assert place in store.backups.unsaved()
    assert store.backups.saved() == {place: b"n" * 16}
    seen = store.backups.seen()
    assert seen is not None
    assert seen.version == 4
    settle(store)
    assert store.backups.saved() == {}
    store.backups.mark()
    assert set(store.backups.unsaved()) == {place}


def test_whatever_changes_a_message_marks_its_place(both: Both) -> None:
    store = both.store
    text = both.hear("one")
    poll = both.hear(Poll("which?", ["one", "two"]))
    author = both.bob.person.id
    for change in (
        Edit(text, "another"),
        React(Target(author, text), "+1"),
        React(Target(author, text), "+1", on=False),
        Vote(Target(author, poll), [1]),
        Vote(Target(author, poll), []),
        Delete(Target(author, text)),
    ):
        settle(store)
        both.hear(change)
        assert len(store.backups.unsaved()) == 1, change
    (place,) = store.backups.unsaved()
    # What is deleted is not backed up.
    assert [one.text for one in store.backups.messages(place)] == ["which?"]
    settle(store)
    store.forget_room(ROOM)
    assert set(store.backups.unsaved()) == {place}
    assert store.backups.messages(place) == []


def test_what_disappears_is_never_backed_up(both: Both) -> None:
    store = both.store
    fleeting = say(store, both.alice, "soon gone", expires=60)
    target = Target(both.alice.person.id, fleeting)
    both.bob.sync()
    both.hear(React(target, "+1"))
    assert texts_of(store) == ["soon gone"]
    assert store.backups.unsaved() == {}
    place = place_of(ROOM, shown(store)[0])
    assert store.backups.messages(place) == []
    store.backups.mark()
    store.marks.read(ROOM, both.here, NOW)
    assert store.expire(NOW + 60_001)
    assert store.backups.unsaved() == {}


def test_a_store_from_before_backups_backs_up_what_it_has(tmp_path: Path) -> None:
    held = profile(tmp_path)
    database = open_database(held, MASTER, store_schema.STEPS[:1])
    with database.writing() as connection:
        connection.execute("INSERT INTO events VALUES (1, 1, x'00', x'0a', x'0b')")
        connection.execute(
            "INSERT INTO messages (room, seq, device, role, at, text) VALUES (1, 1, x'', 1, 5, 'x')"
        )
    database.close()
    held.unlock()
    with opened(tmp_path) as store:
        assert set(store.backups.unsaved()) == {Place(1, 0, 0)}


# -- what comes back


def test_what_is_restored_is_shown_found_and_not_new(both: Both) -> None:
    store = both.store
    both.hear("the first here")
    settle(store)
    old = message(1, "an old treasure", reactions={"+1": frozenset({b"c" * 32})})
    assert restore(store, old) == 1
    assert texts_of(store) == ["an old treasure", "the first here"]
    assert store.messages.search("treasure", 10) == [(ROOM, old)]
    assert store.messages.unread(ROOM, 0, b"") == 1
    # What came from there is there.
    assert store.backups.unsaved() == {}
    assert store.backups.saved() == {place_of(ROOM, old): b"n" * 16}
    assert restore(store, old) == 0
    # It says nothing of the chain of the room's log.
    assert store.hash_at(ROOM)(1) is None


def test_a_change_that_waits_waits_on(both: Both) -> None:
    both.hear("mine, not saved yet")
    before = both.store.backups.unsaved()
    assert restore(both.store, message(1)) == 1
    assert both.store.backups.unsaved() == before


def test_what_the_device_has_stays_as_it_has_it(both: Both) -> None:
    store = both.store
    kept, gone = both.hear("as it is"), both.hear("to be deleted")
    author = both.bob.person.id
    both.hear(Delete(Target(author, gone)))
    mine, deleted = shown(store)
    other = replace(mine, text="as it was", said=replace(mine.said, body=Text("as it was")))
    again = replace(deleted, text="to be deleted", said=replace(deleted.said, body=Text("x")))
    elsewhere = replace(other, said=replace(other.said, seq=1))
    in_its_place = message(mine.said.seq, "another in its place")
    assert (kept, gone) == (mine.said.id, deleted.said.id)
    for false in (other, again, elsewhere, in_its_place):
        assert restore(store, false) == 0
    assert shown(store) == [mine, deleted]


def test_what_this_device_will_read_by_itself_is_left_to_it(both: Both) -> None:
    """A chunk of a room that goes on has what this device has not come to yet."""
    store = both.store
    ahead = message(both.here + 1, "not yet")
    assert restore(store, message(1, "old"), ahead) == 1
    assert texts_of(store) == ["old"]
    # It is looked at again.
    assert store.backups.saved() == {}
    both.hear("what really stands there")
    assert restore(store, message(1), ahead) == 0
    assert texts_of(store) == ["old", "what really stands there"]


def test_what_is_restored_can_be_edited_and_deleted(both: Both) -> None:
    store, author = both.store, both.bob.person.id
    said = Said(1, author, b"d" * 16, Role.MEMBER, b"i" * 16, NOW, Text("old"))
    assert restore(store, Message(said, "old")) == 1
    both.hear(Edit(b"i" * 16, "new"))
    assert texts_of(store) == ["new"]
    assert len(store.backups.unsaved()) == 1
    both.hear(Delete(Target(author, b"i" * 16)))
    assert texts_of(store) == [None]
    assert store.messages.search("new", 10) == []


def test_a_room_that_is_entered_later_goes_its_own_way(tmp_path: Path) -> None:
    """A backup may lie about places that the device then follows itself: its own eyes count."""
    with opened(tmp_path) as store:
        alice, bob = talk("alice", "bob")
        heard, body = os.urandom(16), os.urandom(16)
        bob.say("heard", heard)
        false = [message(seq, f"false {seq}") for seq in range(1, len(alice.server.events) + 4)]
        assert restore(store, *false) == len(false)
        move_in(store, alice)
        follow(store, alice.server)
        bob.say("said after entering", body)
        follow(store, alice.server)
        found = {one.said.id: one.text for one in shown(store)}
        assert found[body] == "said after entering"
        assert found[heard] == "heard"
        assert not store.messages.search(f"false {len(alice.server.events)}", 10)
        assert store.hash_at(ROOM)(len(alice.server.events)) is not None


def test_a_room_that_one_is_not_in_is_restored_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert restore(store, message(500, "once upon a time"), room=ELSEWHERE) == 1
        store.backups.restore_rooms([RoomName(ELSEWHERE, b"den", b"of old"), RoomName(3, b"", b"")])
        assert store.marks.title(ELSEWHERE).name == "den"
        assert store.messages.last(ELSEWHERE) == 500
        assert store.messages.last(3) == 0
        # The server does not make a plain room of it.
        assert store.was_encrypted() == {ELSEWHERE, 3}
        store.backups.restore_rooms([RoomName(ELSEWHERE, b"another", b"")])
        assert store.marks.title(ELSEWHERE).name == "den"
        assert RoomName(ELSEWHERE, b"den", b"of old") in store.backups.rooms()
    with opened(tmp_path) as store:
        assert [one.text for one in store.messages.after(ELSEWHERE, 0, 9)] == ["once upon a time"]


# -- what is remembered


def test_the_key_and_the_wish_for_none_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert (store.backups.key(), store.backups.seen(), store.backups.off) == (None, None, False)
        store.backups.keep_key(SecretBytes(b"k" * 32))
        fill(store, ["x"])
        settle(store)
        store.backups.saw(3, b"index", off=True)
    with opened(tmp_path) as store:
        assert store.backups.key() == SecretBytes(b"k" * 32)
        assert store.backups.off
        seen = store.backups.seen()
        assert seen is not None
        assert seen.version == 3
        store.backups.saw(4, b"index", off=False)
        assert not store.backups.off
