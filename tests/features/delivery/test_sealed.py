"""Messages in encrypted rooms: only what is sealed, for this group, in this epoch, by a member's device."""

import os
from typing import Any

import msgspec
import pytest

from lairchat.features.messages.messages import HISTORY, SEND, SYNC
from lairchat.features.rooms.messages import CREATE, DIRECT
from lairchat.mls.messages import PrivateMessage, decode_message, encode_message
from lairchat.mls.objects import Remove
from lairchat.model import limits, refusals
from lairchat.trust.policy import encode_reasons
from tests.features.common import text
from tests.features.delivery.test_commits import kept, room_of
from tests.features.delivery.world import Here, Member
from tests.harness import Client
from tests.trust.rooms import NO_REASON


def refused(member: Member, body: bytes, kind: type[refusals.Refusal], room: int = 0) -> Any:
    """Hold the server to refusing a message, and to keeping nothing of it."""
    before = kept(member.here)
    with pytest.raises(kind) as caught:
        member.ask(SEND, room=room or member.room, body=body)
    assert kept(member.here) == before
    return caught.value


def test_a_sealed_message_is_stored_told_and_read_as_it_was_sent(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    bob.client.forget()
    body = alice.sealed(b"hello")
    sent = alice.ask(SEND, room=alice.room, body=body)
    (event,) = bob.client.events("message")
    assert (event.seq, event.kind, event.name, event.body) == (sent.seq, "app", "alice", body)
    bob.read()
    assert bob.texts == [b"hello"]
    (room,) = [one for one in bob.ask(SYNC).rooms if one.room == bob.room]
    assert room.unread == 1
    stored = kept(here)
    assert b"hello" not in repr(stored).encode()


def test_the_longest_text_fits_sealed(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    longest = os.urandom(limits.MESSAGE_BYTES + 2_000)  # with padding and what is around it
    alice.say(longest)
    bob.read()
    assert bob.texts == [longest]


def test_nothing_that_the_server_can_read_goes_into_an_encrypted_room(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    refused(alice, text("in clear"), refusals.RoomEncrypted)
    plain = here.member("carol")
    direct = plain.ask(DIRECT, name="alice", crypto="mls").room
    refused(plain, text("in clear"), refusals.RoomEncrypted, direct)
    # Whoever is not in it learns nothing.
    refused(plain, text("in clear"), refusals.RoomUnknown, alice.room)
    refused(plain, alice.sealed(b"x"), refusals.RoomUnknown, alice.room)


def test_nothing_sealed_goes_into_a_plain_room(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    room = alice.ask(CREATE, name="ops").room
    for body in (alice.sealed(b"x"), alice.committing()["message"], b"\0junk", b"\0"):
        refused(alice, body, refusals.RoomPlain, room)


def test_a_message_of_another_epoch_or_group_is_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    early, late = alice.sealed(b"early"), bob.sealed(b"late")
    alice.commit()
    stale = refused(bob, late, refusals.EpochStale)
    assert "epoch 2" in stale.text
    refused(alice, early, refusals.EpochStale)
    bob.read()
    ahead = decode_message(bob.sealed(b"ahead"))
    assert isinstance(ahead, PrivateMessage)
    moved = PrivateMessage(
        ahead.group_id,
        ahead.epoch + 1,
        ahead.content_type,
        ahead.authenticated_data,
        ahead.encrypted_sender_data,
        ahead.ciphertext,
    )
    refused(bob, encode_message(moved), refusals.EpochStale)
    first, group, seq = alice.room, alice.group, alice.seq
    alice.create()
    refused(alice, alice.sealed(b"elsewhere"), refusals.GroupRefused, first)
    alice.room, alice.group, alice.seq = first, group, seq
    here.agree(alice, bob)


def test_handshakes_do_not_come_as_messages(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    assert alice.group is not None
    private = alice.group.commit(os.urandom, private=True).message
    for body in (
        alice.committing()["message"],
        private,
        alice.arguments()["info"],
        b"\0",
        b"\0\1\0\2",
        alice.sealed(b"x") + b"\0",
    ):
        refused(alice, body, refusals.GroupRefused)


def test_only_a_proven_device_in_the_group_sends(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    body = bob.sealed(b"by the password alone")
    stranger = Client(here.server)
    stranger.login("bob")
    with pytest.raises(refusals.DeviceUnproven):
        stranger.ask(SEND, room=bob.room, body=body)
    # A certified device of a member, that nobody has added yet.
    here.append(bob, bob.person.certify(2), 1)
    second = here.member("bob", 2)
    second.room = bob.room
    refused(second, body, refusals.GroupRefused)
    alice.commit(Remove(bob.leaf), said=encode_reasons(NO_REASON))
    refused(bob, bob.sealed(b"still here"), refusals.RoomUnknown)


def test_a_repeat_is_known_by_its_id_before_its_epoch_is_looked_at(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    body, key = bob.sealed(b"once"), bob.client.new_key()
    first = bob.client.ask(SEND, key, room=bob.room, body=body)
    alice.read()
    alice.commit()
    assert bob.client.ask(SEND, key, room=bob.room, body=body) == first
    with pytest.raises(refusals.IdConflict):
        bob.client.ask(SEND, key, room=bob.room, body=bob.sealed(b"twice"))
    # What was refused is not an answer: sealed anew it goes under the same id.
    key, stale = bob.client.new_key(), bob.sealed(b"again")
    with pytest.raises(refusals.EpochStale):
        bob.client.ask(SEND, key, room=bob.room, body=stale)
    bob.read()
    bob.keys.add(key)
    bob.client.ask(SEND, key, room=bob.room, body=bob.sealed(b"again"))
    alice.read()
    assert alice.texts == [b"once", b"again"]
    here.agree(alice, bob)


def test_a_message_and_a_commit_at_once_follow_the_writers_order(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent, sealed = alice.committing(), bob.sealed(b"before or after")
    # The commit is judged first, so the message is in the queue before it.
    first = alice.give_commit(sent)
    second = bob.client.give(SEND, room=bob.room, body=sealed)
    here.server.settle()
    outcome = []
    for member, request in ((alice, first), (bob, second)):
        try:
            outcome.append(member.client.answer(request).seq)
        except refusals.EpochStale:
            outcome.append(0)
    events = alice.ask(HISTORY, room=alice.room, after=alice.seq).events
    kinds = [event.kind for event in events]
    assert kinds in (["app", "commit"], ["commit"])
    assert (kinds == ["commit"]) == (outcome[1] == 0)


def test_sealed_messages_of_many_at_once_are_judged_each(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    mixed = []
    for number in range(40):
        member = (alice, bob, carol)[number % 3]
        good = number % 5
        body = member.sealed(b"%d" % number) if good else text("clear")
        mixed.append((member, member.client.give(SEND, room=member.room, body=body), good))
    here.server.settle()
    for member, request, good in mixed:
        if good:
            assert member.client.answer(request).seq
        else:
            with pytest.raises(refusals.RoomEncrypted):
                member.client.answer(request)
    events = alice.ask(HISTORY, room=alice.room, after=alice.seq, limit=100).events
    assert len(events) == 32
    bodies = [msgspec.msgpack.encode(event.body) for event in events]
    assert len(set(bodies)) == 32
