"""Where the log begins for whoever joins: at the event of their epoch, with the chain's hash there."""

from hashlib import sha256

import pytest

from lairchat.features.delivery.messages import BEGUN
from lairchat.features.messages import rules
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms.messages import DIRECT
from lairchat.model import refusals
from lairchat.model.chain import genesis, link
from tests.features.delivery.test_commits import room_of
from tests.features.delivery.world import Here, Member


def chain(member: Member) -> list[bytes]:
    """Return the hash of the chain at each event of a room's log, computed from what a client reads."""
    classes = {word: kind for kind, word in rules.KIND_WORDS.items()}
    hashes = [genesis(member.room)]
    for event in member.ask(HISTORY, room=member.room, after=0, limit=100).events:
        kind = classes[event.kind]
        digest = sha256(event.body).digest()
        hashes.append(link(hashes[-1], event.seq, int(kind), event.user, digest))
    return hashes


def test_an_epoch_began_where_its_commit_stands(here: Here) -> None:
    alice = here.member("alice")
    alice.create()
    founded = alice.seq
    alice.say(b"alone")
    bob = here.member("bob")
    first = alice.add(bob)
    alice.say(b"together")
    bob.read()
    second = bob.commit()
    hashes = chain(alice)
    for epoch, seq in enumerate((founded, first.seq, second.seq)):
        told = bob.ask(BEGUN, room=bob.room, epoch=epoch)
        assert (told.seq, told.hash) == (seq, hashes[seq])


def test_epochs_that_are_not_and_strangers_are_refused(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    with pytest.raises(refusals.GroupTree):
        alice.ask(BEGUN, room=alice.room, epoch=2)
    carol = here.member("carol")
    with pytest.raises(refusals.RoomUnknown):
        carol.ask(BEGUN, room=alice.room, epoch=0)
    direct = carol.ask(DIRECT, name="bob", crypto="mls").room
    with pytest.raises(refusals.GroupMissing):
        carol.ask(BEGUN, room=direct, epoch=0)
