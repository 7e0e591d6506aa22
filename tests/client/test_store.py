"""What is kept comes back as it was; a message costs few and small writes; no key comes back."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lairchat.client.store import Store
from lairchat.client.store_codes import Invitation
from lairchat.client.store_outbox import SEALINGS_KEPT_MS, State
from lairchat.client.store_people import OwnDevice
from lairchat.client.store_search import Note
from lairchat.e2ee.fold import Message
from lairchat.e2ee.invite import Code
from lairchat.e2ee.payload import Delete, Edit, Poll, React, RoomState, Target, Text, Vote
from lairchat.e2ee.payload import Invitation as Told
from lairchat.e2ee.room import (
    PAST_GRACE_MS,
    Advanced,
    Behind,
    Due,
    Halted,
    Opened,
    Out,
    Own,
    Passed,
    Room,
    Unreadable,
    decided,
)
from lairchat.mls.errors import InvalidError, MalformedError, MisuseError
from lairchat.mls.joining import join
from lairchat.mls.keypackages import OwnKeyPackage, make_key_package
from lairchat.mls.messages import Welcome, decode_message
from lairchat.mls.objects import Add, BasicCredential, Lifetime, Remove
from lairchat.mls.storing import store_group
from lairchat.mls.suites import HYBRID
from lairchat.model import limits
from lairchat.model.events import EventClass
from lairchat.trust.errors import ForkError, RollbackError
from lairchat.trust.locks import Cause, Hold
from lairchat.trust.pins import Pin, Sureness
from lairchat.trust.policy import Role, encode_reasons
from lairchat.trust.secret import SecretBytes
from lairchat.wire.codec import encode_body
from tests.client.stores import (
    AUDIENCE,
    MASTER,
    blind,
    encoded,
    fill,
    follow,
    letter,
    move_in,
    opened,
    profile,
    rejoin_by,
    say,
    seal,
    shown,
    texts,
)
from tests.e2ee.devices import NOW, ROOM, Client, talk
from tests.trust.people import device
from tests.trust.rooms import Person


def state_of(room: Room) -> tuple[Any, ...]:
    """Return all that a room is, to be compared."""
    group, past, pending = room.group, room.past, room.pending
    return (
        room.room,
        room.server_key,
        store_group(group),
        dict(group.keys.parts),
        group.public.tree.encode(),
        room.followed,
        past and (past.ended_at, past.epoch.public.context, dict(past.epoch.keys.parts)),
        pending
        and (
            pending.message,
            pending.digest,
            pending.welcome,
            pending.info,
            store_group(pending.group),
            dict(pending.group.keys.parts),
            pending.change,
        ),
        (room.count, room.sent, room.renewed_at, room.halted, room.behind),
    )


def again(store: Store) -> Room:
    """Return the room as another process would read it."""
    kept = store.room(ROOM)
    assert kept is not None
    store._rooms.clear()
    read = store.room(ROOM)
    assert read is not None
    assert read is not kept
    assert state_of(read) == state_of(kept)
    return read


# Rooms.


def test_a_room_comes_back_after_every_step_as_it_was(tmp_path: Path) -> None:
    alice, bob, carol = talk("alice", "bob", "carol")
    with opened(tmp_path) as store:
        move_in(store, alice)
        again(store)
        for text in ("one", "two"):
            bob.say(text)
            follow(store, alice.server)
            again(store)
        say(store, alice, "three")
        again(store)
        # Bob's jump leaves keys behind that wait for their messages.
        for _ in range(5):
            bob.sync()
            bob.seal("never sent")
        bob.say("four")
        follow(store, alice.server)
        assert len(again(store).group.keys.parts) > 2
        # A commit of somebody else's, late messages of the epoch before, one's own commit.
        carol.sync()
        late = carol.seal("late")
        bob.sync()
        bob.commit()
        alice.server.append(EventClass.APP, late)
        assert isinstance(follow(store, alice.server)[-1], Opened)
        assert again(store).past is not None
        room = store.room(ROOM)
        assert room is not None
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        pending = again(store).pending
        assert pending is not None
        alice.server.append(EventClass.COMMIT, pending.message)
        assert isinstance(follow(store, alice.server)[-1], Own)
        room = again(store)
        bob.sync()
        assert room.group.authenticator == bob.room.group.authenticator
        assert room.renewed_at == NOW
    with opened(tmp_path) as store:
        assert not store.unclean
        assert not store.copied
        assert store.rooms() == [ROOM]
        assert state_of(store.room(ROOM)) == state_of(room)
        assert texts(store) == ["one", "two", "three", "four", "late"]
        bob.say("five")
        assert isinstance(follow(store, alice.server)[-1], Opened)


def test_a_commit_that_adds_and_removes_comes_back(tmp_path: Path) -> None:
    alice, bob, carol = talk("alice", "bob", "carol")
    dave = Client(alice.server, Person("dave"))
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        package = dave.package()
        store.people.learn_log(encoded(dave.person))
        committing = room.commit(
            store.people.logs,
            os.urandom,
            add=[package.package],
            remove=[decided(alice.leaf_of(carol))],
        )
        store.keep_commit(committing)
        read = again(store)
        assert read.pending is not None
        assert [gone.identity for gone in read.pending.change.removed] == [carol.person.identity()]
        assert [gone.by for gone in read.pending.change.removed] == [alice.person.identity()]
        assert read.pending.change.added == (dave.person.identity(),)
        # It won, though this process never heard: the next one takes it.
        alice.server.append(EventClass.COMMIT, read.pending.message)
    with opened(tmp_path) as store:
        happened = follow(store, alice.server)
        assert isinstance(happened[-1], Own)
        bob.sync()
        room = store.room(ROOM)
        assert room is not None
        assert room.group.authenticator == bob.room.group.authenticator
        assert room.past is not None
        assert room.past.epoch.gone == {carol.room.group.leaf}


def test_a_commit_that_lost_is_dropped(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        bob.commit()
    with opened(tmp_path) as store:
        (happened,) = follow(store, alice.server)
        assert isinstance(happened, Advanced)
        assert happened.lost is not None
        room = again(store)
        assert room.pending is None
        assert room.group.authenticator == bob.room.group.authenticator
        # Or the server refuses it for a reason of its own.
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        kept = store.room(ROOM)
        assert kept is not None
        with pytest.raises(MisuseError):
            store.drop_commit(kept)
        with pytest.raises(MisuseError):
            store.keep_commit(room)
        store.drop_commit(kept.dropped())
        assert again(store).pending is None
        say(store, alice, "after it")
        bob.sync()
        assert bob.texts[-1] == "after it"


def test_what_nothing_refers_to_is_erased(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        for _ in range(4):
            bob.commit()
            follow(store, alice.server)
        with store._database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM trees").fetchone() == (2,)
            assert connection.execute("SELECT count(*) FROM epochs").fetchone() == (2,)
            (rows,) = connection.execute("SELECT count(*) FROM ratchets").fetchone()
            assert rows == 2  # of each epoch the root, from which nothing has been taken
        store.leave(ROOM)
        assert store.room(ROOM) is None
        assert store.rooms() == []
        with store._database.reading() as connection:
            for table in ("trees", "epochs", "ratchets", "counts", "rooms"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_member_who_is_removed_keeps_no_keys_but_what_was_read(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path, "bob") as store:
        move_in(store, bob)
        alice.say("before")
        alice.commit(remove=[decided(alice.leaf_of(bob))])
        assert isinstance(follow(store, alice.server)[-1], Out)
        assert store.room(ROOM) is None
        assert texts(store) == ["before"]
        with store._database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM ratchets").fetchone() == (0,)


@pytest.mark.parametrize("way", ["removed", "lost"])
def test_who_comes_in_again_counts_on(tmp_path: Path, way: str) -> None:
    """Else a number would come twice, which others take for a copy of the device."""
    alice, bob = talk("alice", "bob")
    with opened(tmp_path, "bob") as store:
        move_in(store, bob)
        for text in ("one", "two"):
            say(store, bob, text)
        alice.sync()
        leaf = alice.leaf_of(bob)
        if way == "removed":
            alice.commit(remove=[decided(leaf)])
            follow(store, alice.server)
            assert store.room(ROOM) is None
            alice.add(bob)
        else:
            alice.commit(remove=[decided(leaf)])
            alice.add(bob)
        kept = store.enter(bob.room)
        assert kept.count == 2
        assert again(store).count == 2
        say(store, bob, "three")
        (happened,) = alice.sync()
        assert isinstance(happened, Opened)
        assert happened.finding is None
        assert texts(store) == ["one", "two", "three"]


@pytest.mark.parametrize("way", ["leaves", "is removed"])
def test_who_is_out_keeps_no_codes_and_nothing_to_say(tmp_path: Path, way: str) -> None:
    alice, bob = talk("alice", "bob")
    code = Code.new(os.urandom)
    with opened(tmp_path, "bob") as store:
        move_in(store, bob)
        store.codes.keep_invitation(Invitation(ROOM, code, 3, NOW + 10))
        store.codes.keep_invitation(Invitation(ROOM + 1, Code.new(os.urandom), 1, NOW + 10))
        store.queue(letter("typed"))
        seal(store, bob.person, letter("sealed"))
        store.marks.read(ROOM, 1, NOW)
        store.marks.keep_draft(ROOM, "half a")
        if way == "leaves":
            store.leave(ROOM)
        else:
            alice.commit(remove=[decided(alice.leaf_of(bob))])
            assert isinstance(follow(store, alice.server)[-1], Out)
        assert [one.room for one in store.codes.invitations(NOW).values()] == [ROOM + 1]
        assert store.outbox() == []
        with store._database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM sealings").fetchone() == (0,)
        assert store.marks.reads() == {ROOM: 1}
        assert store.marks.drafts() == {ROOM: "half a"}


def test_rooms_that_were_ever_encrypted_are_remembered(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        assert store.was_encrypted() == set()
        move_in(store, alice)
        assert store.was_encrypted() == {ROOM}
        store.forget_room(ROOM)
        assert store.rooms() == []
    with opened(tmp_path) as store:
        assert store.was_encrypted() == {ROOM}


def test_what_was_followed_blindly_is_read_after_entering_before_it(tmp_path: Path) -> None:
    """The log goes on while a device that is behind hears that its way in was taken."""
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        blind(store)
        rejoined = rejoin_by(bob, alice, store)
        alice.server.append(EventClass.COMMIT, rejoined.message)
        alice._enter(rejoined.group)
        into = rejoined.entered(alice.room.followed, NOW)
        bob.sync()
        bob.say("welcome back")
        bob.say("we were here")
        assert [type(one) for one in follow(store, alice.server)] == [Unreadable] * 3
        store.enter(into)
        assert [type(one) for one in follow(store, alice.server)] == [Opened, Opened]
        assert texts(store) == ["welcome back", "we were here"]
        key = bob.person.id, shown(store)[0].said.id
        assert store.messages.find(ROOM, key) == shown(store)[0]
        assert store.repeats(ROOM)(key)


def test_a_log_that_is_another_than_before_is_neither_entered_nor_followed(
    tmp_path: Path,
) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        blind(store)
        rejoined = rejoin_by(bob, alice, store)
        entry = alice.server.append(EventClass.COMMIT, rejoined.message)
        alice._enter(rejoined.group)
        into = rejoined.entered(alice.room.followed, NOW)
        bob.sync()
        bob.say("shown at first")
        follow(store, alice.server)
        lie = replace(into, followed=replace(into.followed, hash=bytes(32)))
        with pytest.raises(InvalidError, match="another log"):
            store.enter(lie)
        assert again(store).behind
        store.enter(into)
        # Behind the place where it entered the server has something else now.
        del alice.server.events[entry.seq :]
        bob.say("shown then")
        with pytest.raises(InvalidError, match="another log"):
            follow(store, alice.server)
        assert texts(store) == []
        assert again(store).followed.seq == entry.seq


def test_a_halted_room_comes_back_halted(tmp_path: Path) -> None:
    alice, bob, _ = talk("alice", "bob", "carol")
    with opened(tmp_path) as store:
        move_in(store, alice)
        # Bob has no right to remove anybody; his own client would not let him.
        _, why = decided(2)
        committed = bob.room.group.commit(
            os.urandom, proposals=[Remove(2)], authenticated_data=encode_reasons(why)
        )
        alice.server.append(EventClass.COMMIT, committed.message)
        follow(store, alice.server)
        room = again(store)
        assert room.halted
        bob.server.append(EventClass.APP, bob.seal("after it"))
        assert isinstance(follow(store, alice.server)[-1], Unreadable)


def test_a_device_that_is_behind_comes_back_behind_and_then_enters_again(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        say(store, alice, "one")
        room = store.room(ROOM)
        assert room is not None
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        kept = again(store)
        assert kept.pending is not None
        alice.server.append(EventClass.COMMIT, kept.pending.message)
        # The server had answered that it takes it by no means.
        store.drop_commit(kept.dropped())
    with opened(tmp_path) as store:
        assert isinstance(follow(store, alice.server)[-1], Behind)
        room = again(store)
        assert room.behind
        assert room.halted is None
        bob.sync()
        bob.say("alice cannot read it")
        assert isinstance(follow(store, alice.server)[-1], Unreadable)
        assert again(store).behind == room.behind
    with opened(tmp_path) as store:
        bob.sync()
        rejoined = rejoin_by(bob, alice, store)
        alice.server.append(EventClass.COMMIT, rejoined.message)
        alice._enter(rejoined.group)
        store.enter(rejoined.entered(alice.room.followed, NOW))
        room = again(store)
        assert (room.behind, room.count, room.renewed_at) == (None, 1, NOW)
        say(store, alice, "here again")
        bob.sync()
        assert bob.texts[-1] == "here again"
        assert texts(store) == ["one", "here again"]
        # What it was behind in does not come back.
        with pytest.raises(InvalidError, match="been in that epoch"):
            store.enter(replace(room, count=0))


def test_a_commit_under_way_goes_when_the_device_falls_behind(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        committing = room.commit(store.people.logs, os.urandom)
        store.keep_commit(committing)
        bob.commit()
        gone = alice.server.events[-1]
        alice.server.events[-1] = replace(gone, body=None)
        assert isinstance(follow(store, alice.server)[-1], Behind)
        assert again(store).pending is None
        # Nor is it kept, or anything sealed, by who had looked at the room before.
        with pytest.raises(MisuseError, match="gone on"):
            store.keep_commit(committing)
        typed = letter("from before")
        sealed, after = room.seal(typed.body, typed.id, alice.person.log, NOW, os.urandom)
        with pytest.raises(MisuseError, match="gone on"):
            store.send(after, typed, sealed, NOW)


def test_only_what_was_refused_for_good_is_dropped(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        with pytest.raises(MisuseError, match="under way"):
            store.drop_commit(room)
        committing = room.commit(store.people.logs, os.urandom)
        store.keep_commit(committing)
        bob.commit()
        follow(store, alice.server)
        # Somebody else's has won meanwhile, and there is another one.
        now = store.room(ROOM)
        assert now is not None
        store.keep_commit(now.commit(store.people.logs, os.urandom))
        with pytest.raises(MisuseError, match="gone on"):
            store.drop_commit(committing.dropped())
        assert again(store).pending is not None


@pytest.mark.parametrize("gone", ["no", "left", "forgotten"])
def test_nothing_leads_past_a_refused_commit(tmp_path: Path, gone: str) -> None:
    """An insider adds a device that nobody certifies, and the server then lets others in after it."""
    alice, bob = talk("alice", "bob")
    ghost = bob.person.package(2, signing_key=os.urandom(32))
    with opened(tmp_path) as store:
        move_in(store, alice)
        committed = bob.room.group.commit(os.urandom, proposals=[Add(ghost.package)])
        alice.server.append(EventClass.COMMIT, committed.message)
        assert isinstance(follow(store, alice.server)[-1], Halted)
        # The ghost is removed, and the tree looks as if nothing had been.
        _, why = decided(2)
        after = committed.group.commit(
            os.urandom, proposals=[Remove(2)], authenticated_data=encode_reasons(why)
        )
        bob.room = replace(bob.room, group=after.group)
        alice._enter(bob.room.group)
        if gone == "left":
            store.leave(ROOM)
        elif gone == "forgotten":
            store.forget_room(ROOM)
        with pytest.raises(InvalidError, match="nothing leads past it"):
            store.enter(alice.room)


def test_keys_of_the_epoch_before_go_in_quiet_rooms_too(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.commit()
        follow(store, alice.server)
        stale = store.room(ROOM)
        assert stale is not None
        store.expire(NOW + PAST_GRACE_MS - 1)
        assert again(store).past is not None
        store.expire(NOW + PAST_GRACE_MS)
        kept = store.room(ROOM)
        assert kept is not None
        assert kept.past is None
        assert again(store).past is None
        # What looked at the room before does not bring them back.
        typed = letter("from before")
        sealed, after = stale.seal(typed.body, typed.id, alice.person.log, NOW, os.urandom)
        assert after.past is not None
        store.send(after, typed, sealed, NOW)
        assert again(store).past is None
        with store._database.reading() as connection:
            for table in ("epochs", "trees"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


# Sending.


def test_a_message_goes_its_way(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        typed = letter("hello")
        store.queue(typed)
        assert store.outbox() == [typed]
    with opened(tmp_path) as store:
        (kept,) = store.outbox(ROOM)
        assert kept == typed
        assert kept.audience == AUDIENCE
        assert store.outbox(ROOM + 1) == []
        sealed = seal(store, alice.person, kept)
        (sent,) = store.outbox()
        assert sent == replace(
            typed, state=State.SENT, count=1, role=Role.ADMINISTRATOR, sealed=sealed
        )
        assert not store.take_back(typed.id)
        event = alice.server.append(EventClass.APP, sealed)
        store.accepted(typed.id, event.seq)
        assert store.outbox()[0].state is State.ACCEPTED
        assert store.outbox()[0].seq == event.seq
        assert follow(store, alice.server) == [Own()]
        assert store.outbox() == []
        (message,) = shown(store)
        assert (message.said.author, message.said.id, message.text) == (
            alice.person.id,
            typed.id,
            "hello",
        )
        assert message.said.role is Role.ADMINISTRATOR
    bob.sync()
    assert bob.texts == ["hello"]


def test_a_refused_message_is_sealed_again_and_shown_once_though_the_server_keeps_both(
    tmp_path: Path,
) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        typed = letter("once")
        first = seal(store, alice.person, typed)
        store.refused(typed.id)
        (kept,) = store.outbox()
        assert kept.state is State.REFUSED
        second = seal(store, alice.person, kept)
        assert second != first
        assert store.outbox()[0].count == 1
        for sealed in (first, second):
            alice.server.append(EventClass.APP, sealed)
        assert follow(store, alice.server) == [Own(), Own()]
        assert texts(store) == ["once"]
        assert store.outbox() == []
        say(store, alice, "twice")
    happened = bob.sync()
    assert bob.texts == ["once", "twice"]
    assert [type(one) for one in happened] == [Opened, Passed, Opened]


def test_a_stored_message_of_ones_own_of_no_known_kind_is_told(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.queue(letter("x"))
        with store._database.writing() as connection:
            connection.execute("UPDATE outbox SET body = ?", (encode_body({"type": "dance"}),))
        with pytest.raises(MalformedError, match="no known kind"):
            store.outbox()


def test_only_what_waits_is_sealed_and_it_keeps_its_number(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        typed = letter("once")
        seal(store, alice.person, typed)
        with pytest.raises(MisuseError, match="waits"):
            seal(store, alice.person, store.outbox()[0])
        store.refused(typed.id)
        with pytest.raises(MisuseError, match="number"):
            # As if it were a new one: others would miss the first number.
            seal(store, alice.person, typed)
        store._rooms.clear()
        seal(store, alice.person, store.outbox()[0])


def test_what_was_typed_can_be_taken_back_until_it_is_sealed(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        typed = letter("never mind")
        store.queue(typed)
        assert store.take_back(typed.id)
        assert store.outbox() == []
        assert not store.take_back(typed.id)


def test_two_messages_are_not_sealed_from_one_state(tmp_path: Path) -> None:
    """As when two parts of a client each seal with the room that they looked up before."""
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        first, second = letter("first"), letter("second")
        sealed, after = room.seal(first.body, first.id, alice.person.log, NOW, os.urandom)
        twin, beside = room.seal(second.body, second.id, alice.person.log, NOW, os.urandom)
        store.send(after, first, sealed, NOW)
        with pytest.raises(MisuseError, match="sealed another"):
            store.send(beside, second, twin, NOW)
        assert [one.id for one in store.outbox()] == [first.id]
        # Nor does receiving bring the key back.
        bob.say("meanwhile")
        event = alice.server.events[-1]
        old, happening = room.receive(
            event, store.people.logs, NOW, repeats=store.repeats(ROOM), hash_at=store.hash_at(ROOM)
        )
        with pytest.raises(MisuseError, match="gone on"):
            store.follow(old, event, happening)
        assert isinstance(follow(store, alice.server)[-1], Opened)


def test_a_commit_under_way_is_not_lost_to_what_began_before_it(tmp_path: Path) -> None:
    """As when one part of a client seals, commits or receives while another one commits."""
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        room = store.room(ROOM)
        assert room is not None
        typed = letter("beside it")
        sealed, after = room.seal(typed.body, typed.id, alice.person.log, NOW, os.urandom)
        other = room.commit(store.people.logs, os.urandom)
        bob.say("meanwhile")
        event = alice.server.events[-1]
        old, happening = room.receive(
            event, store.people.logs, NOW, repeats=store.repeats(ROOM), hash_at=store.hash_at(ROOM)
        )
        store.keep_commit(room.commit(store.people.logs, os.urandom))
        with pytest.raises(MisuseError, match="a commit is under way"):
            store.send(after, typed, sealed, NOW)
        with pytest.raises(MisuseError, match="a commit is under way"):
            store.keep_commit(other)
        with pytest.raises(MisuseError, match="a commit is under way"):
            store.follow(old, event, happening)
        assert store.outbox() == []
        kept = again(store)
        assert kept.pending is not None
        store.keep_commit(kept)
        alice.server.append(EventClass.COMMIT, kept.pending.message)
        assert [type(one) for one in follow(store, alice.server)] == [Opened, Own]


def test_a_room_is_followed_event_by_event(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        room = alice.room
        with pytest.raises(MisuseError):
            store.send(room, letter("x"), b"x", NOW)
        move_in(store, alice)
        bob.say("one")
        event = alice.server.events[-1]
        with pytest.raises(MisuseError, match="next event"):
            store.follow(room, event, Passed())
        with pytest.raises(MisuseError, match="not in that room"):
            store.keep_commit(replace(room.commit(store.people.logs, os.urandom), room=99))


# Receiving.


def test_edits_reactions_votes_and_names_are_folded(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        first, asked = os.urandom(16), os.urandom(16)
        bob.say("helo", first)
        bob.say(Edit(first, "hello"))
        bob.say(Poll("when?", ["now", "later"], many=True), asked)
        target = Target(bob.person.id, first)
        bob.say(React(target, "+1"))
        bob.say(React(target, "heart"))
        bob.say(React(target, "heart", on=False))
        follow(store, alice.server)
        say(store, alice, React(target, "+1"))
        say(store, alice, Vote(Target(bob.person.id, asked), [1, 0]))
        say(store, alice, RoomState("attic", None))
        say(store, alice, RoomState(None, "tea at four"))
        bob.say(RoomState("cellar", "bob is no moderator"))
        follow(store, alice.server)
        bob.sync()
        title = store.marks.title(ROOM)
        assert (title.name, title.topic) == ("attic", "tea at four")
        text, poll = shown(store)
        assert (text.text, text.edited) == ("hello", 1)
        assert text.reactions == {"+1": {alice.person.id, bob.person.id}}
        assert poll.said.body == Poll("when?", ["now", "later"], many=True)
        assert poll.votes == {alice.person.id: (0, 1)}
        say(store, alice, Vote(Target(bob.person.id, asked), []))
        assert shown(store)[1].votes == {}


def test_a_message_that_says_more_than_its_text_comes_back_whole(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    body = Text(
        "waves", me=True, reply=Target(b"a" * 32, b"i" * 16), thread=Target(b"c" * 32, b"j" * 16)
    )
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.say(body)
        follow(store, alice.server)
        assert shown(store)[0].said.body == body
        assert store.messages.find(ROOM, (bob.person.id, b"x" * 16)) is None


def test_of_a_deleted_message_the_place_stays(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        gone = os.urandom(16)
        bob.say("regretted", gone)
        bob.say(React(Target(bob.person.id, gone), "hm"))
        bob.say(Delete(Target(bob.person.id, gone)))
        bob.say(React(Target(bob.person.id, gone), "late"))
        follow(store, alice.server)
        (message,) = shown(store)
        assert message.text is None
        assert message.deleted_by == bob.person.id
        assert message.reactions == {}
        assert store.messages.search("regretted", 10) == []


def test_events_that_say_nothing_move_the_chain_on(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        start = len(alice.server.events)
        alice.server.append(EventClass.STATE, b"somebody joined")
        alice.server.append(EventClass.APP, b"no message")
        happened = follow(store, alice.server)
        assert [type(one) for one in happened] == [Passed, Unreadable]
        room = store.room(ROOM)
        assert room is not None
        assert store.hash_at(ROOM)(start + 2) == room.followed.hash
        assert store.hash_at(ROOM)(start + 3) is None
        assert store.hash_at(ROOM)(0) == alice.hashes[0]
        # What others say they have seen is held against it.
        bob.sync()
        bob.say("whole")
        (opened_,) = follow(store, alice.server)
        assert isinstance(opened_, Opened)
        assert opened_.finding is None


# What it costs.


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_message_is_few_and_small_writes(tmp_path: Path, way: str) -> None:
    """However many members: what a message changes is a row here and there, not the group."""
    clients = talk("alice", *(f"member{number}" for number in range(12)))
    alice, bob = clients[:2]
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.say("the first of a member takes two ratchets from the tree")
        follow(store, alice.server)
        say(store, alice, "and so does one's own")
        bob.sync()
        bob.say("counted")
        wal = tmp_path.rglob("store.db-wal").__next__()
        with store._database.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            before = connection.total_changes
            if way == "send":
                seal(store, alice.person, letter("counted"))
            else:
                follow(store, alice.server)
            rows = connection.total_changes - before
        pages = wal.stat().st_size // 4096
        print(f"{way}: {rows} rows, {pages} pages")
        assert rows <= 12
        # Each table that is written to is a page, and its index another: of a small store these are
        # most of what there is.
        assert pages <= 20


def test_an_epoch_is_written_once(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    written: list[str] = []
    with opened(tmp_path) as store:
        move_in(store, alice)
        with store._database.reading() as connection:
            connection.set_trace_callback(written.append)
        bob.say("hello")
        follow(store, alice.server)
        say(store, alice, "hello")
        assert written
        assert not [one for one in written if "epochs" in one and not one.startswith("SELECT")]
        assert not [one for one in written if "trees" in one]
        # A proposal changes the epoch's part, and no more.
        written.clear()
        leaf, why = decided(bob.room.group.leaf)
        proposal, _ = bob.room.group.propose(
            Remove(leaf), os.urandom, authenticated_data=encode_reasons(why)
        )
        alice.server.append(EventClass.PROPOSAL, proposal)
        follow(store, alice.server)
        assert sum(one.startswith("UPDATE epochs SET part") for one in written) == 1
        assert not [
            one for one in written if one.startswith(("INSERT INTO epochs", "DELETE FROM ep"))
        ]
        room = again(store)
        assert room.due(NOW) is Due.WAITING


# People.


def test_this_device_is_one_for_good(tmp_path: Path) -> None:
    alice = Person("alice")
    own = OwnDevice(alice.identity(), SecretBytes(b"s" * 32))
    with opened(tmp_path) as store:
        assert store.people.own() is None
        package = alice.package()
        store.keys.keep([package], NOW)
        with pytest.raises(MisuseError, match="not been made"):
            store.keys.find([package.reference])
        store.people.keep_own(own)
        assert "s" * 8 not in repr(store.people.own())
    with opened(tmp_path) as store:
        assert store.people.own() == own
        known = replace(own, signer=SecretBytes(b"d" * 32), number=7)
        store.people.keep_own(known)
        assert store.people.own() == known
        for other in (
            replace(own, identity=Person("bob").identity()),
            replace(own, signing=SecretBytes(b"t" * 32)),
        ):
            with pytest.raises(MisuseError, match="one device"):
                store.people.keep_own(other)


def test_the_highest_head_of_a_log_is_kept(tmp_path: Path) -> None:
    bob = Person("bob")
    short = encoded(bob)
    bob.account.say(device("bob", 2))
    longer = encoded(bob)
    fork = Person("bob")
    fork.account.say(device("bob", 3))
    with opened(tmp_path) as store:
        assert store.people.logs == {}
        assert store.people.stored_log(bob.id) is None
        assert store.people.learn_log(longer).head == bob.log.head
        kept = store.people.stored_log(bob.id)
        assert kept is not None
        assert kept.encode() == longer
        with pytest.raises(RollbackError):
            store.people.learn_log(short)
    with opened(tmp_path) as store:
        with pytest.raises(RollbackError):
            store.people.learn_log(short)
        with pytest.raises(ForkError):
            store.people.learn_log(encoded(fork))
        assert store.people.logs[bob.id].head == bob.log.head
        bob.account.say(device("bob", 4))
        store.people.learn_log(encoded(bob))
        assert len(store.people.logs[bob.id].devices) == 3


def test_pins_and_holds_come_back(tmp_path: Path) -> None:
    pin = Pin("bob", b"b" * 32, Sureness.LINK)
    held = (Hold(Cause.LOG_FORKED, "bob"), Hold(Cause.NEWCOMER), Hold(Cause.ROOM_FORKED))
    with opened(tmp_path) as store:
        store.people.keep_pin(pin)
        store.people.keep_pin(Pin("carol", b"c" * 32, Sureness.FIRST_SIGHT, b"d" * 32))
        store.people.keep_holds(ROOM, held)
        store.people.keep_holds(ROOM + 1, held[:1])
    with opened(tmp_path) as store:
        assert store.people.pins()["bob"] == pin
        assert store.people.pins()["carol"].changed == b"d" * 32
        assert set(store.people.holds(ROOM)) == set(held)
        store.people.keep_pin(replace(pin, sureness=Sureness.COMPARED))
        assert store.people.pins()["bob"].sureness is Sureness.COMPARED
        store.people.keep_holds(ROOM, ())
        assert store.people.holds(ROOM) == ()
        assert store.people.holds(ROOM + 1) == held[:1]


# Key packages, inbox, codes.


def test_a_key_package_is_spent_with_the_room_that_it_led_to(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    carol = Client(alice.server, Person("carol"))
    packages = [carol.package() for _ in range(3)]
    with opened(tmp_path, "carol") as store:
        carol_own = OwnDevice(carol.person.identity(), SecretBytes(packages[0].signing_key))
        store.people.keep_own(carol_own)
        store.keys.keep(packages[:2], NOW)
        store.keys.keep(packages[2:], NOW, last_resort=True)
        assert store.keys.to_upload() == [one.package.encode() for one in packages[:2]]
        assert store.keys.to_upload(last_resort=True) == [packages[2].package.encode()]
        store.keys.uploaded([packages[0].reference])
        assert store.keys.to_upload() == [packages[1].package.encode()]
        used = packages[0]
        code = Code.new(os.urandom)
        store.codes.ask(code, NOW)
        alice.commit(add=[used.package])
        welcome = decode_message(alice.welcome)
        assert isinstance(welcome, Welcome)
        mine = store.keys.find([entry.new_member for entry in welcome.secrets])
        assert mine is not None
        assert (mine.package, mine.init_key, mine.encryption_key) == (
            used.package,
            used.init_key,
            used.encryption_key,
        )
        carol._enter(join(welcome, mine, alice.room.group.public.tree.encode()))
        store.enter(carol.room, key_package=mine.reference, inbox=5, locator=code.locator)
        assert store.keys.find([used.reference]) is None
        assert store.keys.inbox == 5
        assert store.codes.requests() == {}
        store.keys.pass_inbox(4)
        assert store.keys.inbox == 5
        # The one of last resort may have been given to somebody else as well.
        alice.commit(remove=[decided(alice.leaf_of(carol))])
        alice.commit(add=[packages[2].package])
        welcome = decode_message(alice.welcome)
        assert isinstance(welcome, Welcome)
        carol._enter(join(welcome, packages[2], alice.room.group.public.tree.encode()))
        store.enter(carol.room, key_package=packages[2].reference)
        assert store.keys.find([b"none", packages[2].reference]) is not None


@pytest.mark.parametrize("gone", ["no", "left", "forgotten"])
@pytest.mark.parametrize("number", [ROOM, ROOM + 1])
def test_a_welcome_that_comes_again_brings_no_keys_back(
    tmp_path: Path, gone: str, number: int
) -> None:
    """A server has it as often as it likes, and a key package of last resort opens it again."""
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        say(store, alice, "under the first key")
        if gone == "left":
            store.leave(ROOM)
        elif gone == "forgotten":
            store.forget_room(ROOM)
        with pytest.raises(InvalidError, match="been in that epoch"):
            store.enter(replace(alice.room, room=number))
        kept = store.room(ROOM)
        assert (kept is None) == (gone != "no")
        assert store.rooms() == [ROOM] * (gone == "no")
        if gone == "no":
            say(store, alice, "under the next")
            assert again(store).count == 2


def test_key_packages_are_erased_when_their_time_is_over(tmp_path: Path) -> None:
    carol = Person("carol")
    until = NOW // 1000 + limits.KEY_PACKAGE_SECONDS

    def make() -> OwnKeyPackage:
        return make_key_package(
            HYBRID,
            BasicCredential(carol.identity().encode()),
            b"s" * 32,
            Lifetime(0, until),
            os.urandom,
        )

    once, resort = make(), make()
    with opened(tmp_path, "carol") as store:
        store.people.keep_own(OwnDevice(carol.identity(), SecretBytes(b"s" * 32)))
        store.keys.keep([once], NOW)
        store.keys.keep([resort], NOW, last_resort=True)
        month = 1000 * limits.LAST_RESORT_SECONDS
        store.expire(NOW + month - 1)
        assert store.keys.find([resort.reference]) is not None
        store.expire(NOW + month)
        assert store.keys.find([resort.reference]) is None
        slack = limits.KEY_PACKAGE_SKEW_SECONDS
        store.expire(1000 * (until + slack))
        assert store.keys.find([once.reference]) is not None
        store.expire(1000 * (until + slack + 1))
        assert store.keys.find([once.reference]) is None


def test_codes_end_with_their_uses_and_their_time(tmp_path: Path) -> None:
    code, other = Code.new(os.urandom), Code.new(os.urandom)
    with opened(tmp_path) as store:
        store.codes.keep_invitation(Invitation(ROOM, code, 2, NOW + 10))
        store.codes.keep_invitation(Invitation(ROOM, other, 1, NOW + 20))
        store.codes.ask(code, NOW)
    with opened(tmp_path) as store:
        assert store.codes.invitations(NOW)[code.locator] == Invitation(ROOM, code, 2, NOW + 10)
        store.codes.keep_invitation(Invitation(ROOM, other, 0, NOW + 20))
        assert set(store.codes.invitations(NOW)) == {code.locator}
        assert store.codes.invitations(NOW + 10) == {}
        store.expire(NOW + 10)
        assert store.codes.invitations(NOW) == {}
        assert store.codes.requests() == {code.locator: code}
        store.codes.answered(code.locator)
        assert store.codes.requests() == {}
        # One that nobody answers works no longer than any code does.
        store.codes.ask(other, NOW)
        longest = 1000 * limits.INVITE_SECONDS_MAX
        store.expire(NOW + longest - 1)
        assert store.codes.requests() == {other.locator: other}
        store.expire(NOW + longest)
        assert store.codes.requests() == {}


def test_codes_that_were_told_of_are_kept_from_their_place_in_the_log_on(tmp_path: Path) -> None:
    """e2ee.md, Joining by code: by one's own word too, and only by who may add people."""
    alice, bob = talk("alice", "bob")
    code, other = Code.new(os.urandom), Code.new(os.urandom)
    until = NOW + 1000
    with opened(tmp_path) as store:
        move_in(store, alice)
        store.codes.keep_invitation(Invitation(ROOM, code, 2, until, told=False))
        assert not store.codes.invitations(NOW)[code.locator].told
        bob.sync()
        bob.say(Told(other.locator, other.secret, 2, until))  # a member only
        say(store, alice, Told(code.locator, code.secret, 2, until))
        follow(store, alice.server)
        assert store.codes.invitations(NOW) == {code.locator: Invitation(ROOM, code, 2, until)}


def test_a_device_that_enters_again_lets_nobody_in_by_codes_from_before(tmp_path: Path) -> None:
    """It has not seen whom they let in meanwhile."""
    alice, _ = talk("alice", "bob")
    code = Code.new(os.urandom)
    with opened(tmp_path) as store:
        move_in(store, alice)
        store.codes.keep_invitation(Invitation(ROOM, code, 2, NOW + 1000))
        store.codes.keep_invitation(Invitation(8, Code.new(os.urandom), 2, NOW + 1000))
        state = store.room(ROOM)
        assert state is not None
        alice.commit()
        store.enter(replace(alice.room, pending=None))
        assert [one.room for one in store.codes.invitations(NOW).values()] == [8]


# What a reader leaves.


def test_drafts_places_and_timers_come_back(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.marks.keep_draft(ROOM, "half a tho")
        store.marks.keep_draft(ROOM, "half a thought")
        store.marks.keep_draft(8, "other")
        store.marks.keep_draft(8, "")
        store.marks.read(ROOM, 12, NOW)
        store.marks.read(ROOM, 7, NOW)
        store.marks.keep_timer(ROOM, 60)
    with opened(tmp_path) as store:
        assert store.marks.drafts() == {ROOM: "half a thought"}
        assert store.marks.reads() == {ROOM: 12}
        assert store.marks.timer(ROOM) == 60
        assert store.marks.timer(8) == 0


def test_facts_come_back_until_they_are_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.marks.fact("words shown") is None
        store.marks.keep_fact("words shown", b"")
        store.marks.keep_fact("backup", b"one")
        store.marks.keep_fact("backup", b"two")
    with opened(tmp_path) as store:
        assert store.marks.fact("words shown") == b""
        assert store.marks.fact("backup") == b"two"
        store.marks.keep_fact("backup", None)
        assert store.marks.fact("backup") is None


def test_what_changed_stands_at_its_place_and_once(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for seq, text in ((3, "alice added carol"), (3, "alice added bob"), (9, "bob went")):
            store.messages.note(ROOM, seq, NOW + seq, text)
        store.messages.note(ROOM, 3, NOW + 99, "alice added bob")
        store.messages.note(ROOM + 1, 4, NOW, "elsewhere")
    with opened(tmp_path) as store:
        first = [Note(3, NOW + 3, "alice added carol"), Note(3, NOW + 3, "alice added bob")]
        last = Note(9, NOW + 9, "bob went")
        assert store.messages.notes(ROOM, 10, 5) == [*first, last]
        assert store.messages.notes(ROOM, 9, 5) == first
        assert store.messages.notes(ROOM, 10, 2) == [first[1], last]
        assert store.messages.notes(ROOM, 3, 5) == []
        assert store.messages.notes_after(ROOM, 2, 5) == [*first, last]
        assert store.messages.notes_after(ROOM, 2, 1) == first[:1]
        assert store.messages.notes_after(ROOM, 3, 5) == [last]
        store.forget_room(ROOM)
        assert store.messages.notes(ROOM, 10, 5) == []
        assert len(store.messages.notes(ROOM + 1, 10, 5)) == 1


def test_messages_are_paged_both_ways(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, [f"m{number}" for number in range(1, 11)])
        fill(store, ["elsewhere"], room=2)
        found = store.messages

        def said(messages: list[Message]) -> list[int]:
            return [message.said.seq for message in messages]

        assert said(found.before(1, 5, 3)) == [2, 3, 4]
        assert said(found.after(1, 5, 3)) == [6, 7, 8]
        assert said(found.after(1, 8, 30)) == [9, 10]
        assert said(found.after(1, 10, 3)) == []
        assert said(found.around(1, 5, 4)) == [3, 4, 5, 6]
        assert said(found.around(1, 5, 5)) == [3, 4, 5, 6, 7]
        assert said(found.around(1, 1, 4)) == [1, 2]
        assert said(found.around(1, 99, 4)) == [9, 10]
        assert said(found.around(1, 5, 1)) == [5]


def test_what_others_said_after_a_place_is_unread(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        gone = os.urandom(16)
        bob.say("one")
        say(store, alice, "mine")
        bob.sync()
        bob.say("regretted", gone)
        bob.say("two")
        follow(store, alice.server)
        me = alice.person.id
        first = shown(store)[0].said.seq
        assert store.messages.unread(ROOM, 0, me) == 3
        assert store.messages.unread(ROOM, first, me) == 2
        bob.say(Delete(Target(bob.person.id, gone)))
        follow(store, alice.server)
        assert store.messages.unread(ROOM, first, me) == 1
        assert store.messages.unread(ROOM + 1, 0, me) == 0


def test_messages_disappear_after_they_were_read(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.say("stays")
        message, bob.room = bob.room.seal(
            Text("vanishes"), os.urandom(16), bob.person.log, NOW, os.urandom, expires=30
        )
        alice.server.append(EventClass.APP, message)
        follow(store, alice.server)
        mine = say(store, alice, "mine vanishes", expires=5)
        assert store.messages.next_expiry() is None
        assert store.expire(NOW + 10**9) == []
        store.marks.read(ROOM, 10, NOW)
        store.marks.read(ROOM, 10, NOW + 4_000)  # again: the time goes on from the first reading
        assert store.messages.next_expiry() == NOW + 5_000
        assert store.expire(NOW + 4_999) == []
        assert store.expire(NOW + 5_000) == [(ROOM, (alice.person.id, mine))]
        store.expire(NOW + 30_000)
        assert texts(store) == ["stays", None, None]
        assert store.messages.search("vanishes", 10) == []
        assert store.messages.next_expiry() is None
        assert shown(store)[1].deleted_by is None


def test_what_was_read_while_the_clock_was_ahead_has_its_time_and_no_more(tmp_path: Path) -> None:
    (alice,) = talk("alice")
    with opened(tmp_path) as store:
        move_in(store, alice)
        mine = say(store, alice, "mine vanishes", expires=5)
        year = 365 * 24 * 3_600_000
        store.marks.read(ROOM, 10, NOW + year)
        assert store.expire(NOW) == []
        assert store.messages.next_expiry() == NOW + 5_000
        # Nor does looking again put it off.
        assert store.expire(NOW + 4_999) == []
        assert store.expire(NOW + 5_000) == [(ROOM, (alice.person.id, mine))]


def test_a_room_is_forgotten_with_all_that_was_in_it(tmp_path: Path) -> None:
    alice, bob = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        bob.say("history")
        say(store, alice, RoomState("attic", None))
        store.queue(letter("typed"))
        store.marks.keep_draft(ROOM, "draft")
        store.people.keep_holds(ROOM, [Hold(Cause.NEWCOMER)])
        store.codes.keep_invitation(Invitation(ROOM, Code.new(os.urandom), 1, NOW + 1))
        follow(store, alice.server)
        store.forget_room(ROOM)
        with store._database.reading() as connection:
            tables = connection.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'found%'"
            ).fetchall()
            left = {
                name
                for (name,) in tables
                if connection.execute(f"SELECT count(*) FROM {name}").fetchone() != (0,)
            }
        # Of the room its number is left, how far this device had counted in it, and its last epoch;
        # and that the backup, too, is to forget it.
        assert left == {"profile", "device", "logs", "numbers", "lived", "unsaved"}
        assert store.messages.search("history", 10) == []


def test_sealings_are_forgotten_when_no_server_brings_them_any_more(tmp_path: Path) -> None:
    alice, _ = talk("alice", "bob")
    with opened(tmp_path) as store:
        move_in(store, alice)
        say(store, alice, "stands")
        seal(store, alice.person, letter("on its way"))
        store.expire(NOW + SEALINGS_KEPT_MS)
        count = "SELECT count(*) FROM sealings"
        with store._database.reading() as connection:
            assert connection.execute(count).fetchone() == (2,)
            store.expire(NOW + SEALINGS_KEPT_MS + 1)
            assert connection.execute(count).fetchone() == (1,)
        assert len(store.outbox()) == 1


def test_nothing_is_written_without_the_profiles_lock(tmp_path: Path) -> None:
    held = profile(tmp_path)
    store = Store.open(held, MASTER)
    held.unlock()
    with pytest.raises(MisuseError, match="lock"):
        store.marks.keep_draft(ROOM, "x")
    with pytest.raises(MisuseError, match="lock"):
        Store.open(held, MASTER)
    held.lock()
    store.close()
    held.unlock()
    assert repr(store) == f"Store({held!r})"
    assert "Database(" in repr(store._database)
