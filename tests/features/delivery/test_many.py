"""Many at once: commits that meet, joiners by the hundred, commits missed, trees that are cold."""

import os
import random

import pytest

from lairchat.features.delivery import messages
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms.messages import MEMBERS
from lairchat.mls.codec import opaque
from lairchat.mls.messages import PublicMessage, decode_message
from lairchat.mls.objects import Remove
from lairchat.model import limits, refusals
from lairchat.trust.entry import ENTRIES
from lairchat.trust.policy import encode_reasons
from tests.features.delivery.test_commits import room_of
from tests.features.delivery.world import PART, Here, Member
from tests.harness import Client
from tests.trust.people import device, key, signer
from tests.trust.rooms import NO_REASON


def test_two_commits_at_once_two_hundred_times(here: Here) -> None:
    """Exactly one wins each epoch, the other is told, and in the end all agree."""
    members = room_of(here, "alice", "bob", "carol", "dave")
    dice = random.Random(20261123)
    for number in range(200):
        rivals = dice.sample(members, 2)
        given = [(one, one.give_commit(one.committing())) for one in rivals]
        here.server.settle()
        won, lost = [], []
        for member, request in given:
            try:
                won.append(member.client.answer(request))
            except refusals.EpochStale as stale:
                lost.append(stale)
        assert (len(won), len(lost)) == (1, 1)
        assert won[0].epoch == number + 2
        assert f"epoch {won[0].epoch}" in lost[0].text
        for member in members:
            member.read()
            member.client.forget()
    here.agree(*members)


def family(here: Here, name: str, count: int) -> Member:
    """Return the first device of somebody who has so many, certified by one device-signing key."""
    first = here.member(name)
    person = first.person
    entries = [person.account.say(signer(name, 1))]
    mine = key(name, "signer", 1)
    entries += [person.account.say(device(name, number), mine) for number in range(2, count + 1)]
    for start in range(0, len(entries), PART):
        here.append(first, ENTRIES.write(entries[start : start + PART]), start + 1)
    return first


def test_three_hundred_joiners_at_once(here: Here) -> None:
    """One commit adds them all; each joins by a welcome of its own, and all are in one epoch."""
    people = 10
    each = 30
    alice = here.member("alice")
    alice.create()
    firsts = [family(here, f"person{number}", each) for number in range(people)]
    joiners = [
        Member(here, first.client, first.person, number)
        for first in firsts
        for number in range(1, each + 1)
    ]
    reply = alice.commit(*alice.adding(*joiners))
    assert alice.ask(messages.STATE, room=alice.room).devices == people * each + 1
    assert alice.ask(MEMBERS, room=alice.room).total == people + 1
    tree = alice.tree(reply.epoch)
    for first in firsts:
        mine = [one for one in joiners if one.person is first.person]
        # A sample joins: each has to prove to be the device whose inbox it reads.
        for one in (mine[0], mine[-1]):
            one.room = alice.room
            one.client = Client(here.server)
            one.client.login(one.person.name)
            one.prove()
            one.enter(reply)
            assert one.group is not None
            assert one.group.public.tree.encode() == tree
    joined = [one for one in joiners if one.group is not None]
    assert len(joined) == 2 * people
    joined[-1].commit()
    here.agree(alice, *joined)


def test_three_hundred_commits_missed_are_caught_up_with(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    for number in range(300):
        member = (alice, carol)[number % 2]
        member.read()
        member.commit()
        alice.client.forget()
        carol.client.forget()
    carol.say(b"are you still there?")
    bob.client.forget()
    heard = bob.read()
    assert sum(event.kind == "commit" for event in heard) == 300
    assert bob.texts == [b"are you still there?"]
    here.agree(alice, bob, carol)


def test_a_commit_above_a_frame_comes_as_a_blob_and_is_read_in_parts(here: Here) -> None:
    """Over a hundred devices that have never committed: each needs a secret of its own."""
    alice = here.member("alice")
    alice.create()
    firsts = [family(here, f"person{number}", 30) for number in range(4)]
    bob = firsts[0]
    added = [
        Member(here, first.client, first.person, number)
        for first in firsts
        for number in range(1, 31)
        if (first, number) != (bob, 1)
    ]
    alice.add(bob)
    alice.commit(*alice.adding(*added))
    bob.read()
    # Cold: nobody but these two has ever brought keys of its own.
    sent = bob.committing()
    assert len(sent["message"]) > limits.FRAME_BYTES
    reply = bob.send_commit(sent)
    (event,) = alice.ask(HISTORY, room=alice.room, after=reply.seq - 1).events
    assert event.kind == "commit"
    assert len(event.body) < 100
    with pytest.raises(refusals.BlobOffset):
        alice.ask(messages.COMMIT_BODY, room=alice.room, seq=reply.seq, offset=len(sent["message"]))
    with pytest.raises(refusals.BlobUnknown):
        alice.ask(messages.COMMIT_BODY, room=alice.room, seq=1)
    here.agree(alice, bob)
    used = here.server.look(lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM blobs").scalar_one())
    assert used == 0, "the blobs of commits that were taken are in nobody's quota"


def test_a_blob_that_is_not_there_or_too_large_is_refused(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    sent = alice.committing()
    with pytest.raises(refusals.GroupBlob):
        alice.ask(messages.COMMIT, room=alice.room, info=sent["info"], blob=os.urandom(16))
    large = alice.put(bytes(limits.WELCOME_BYTES + 1))
    with pytest.raises(refusals.GroupBlob):
        alice.ask(
            messages.COMMIT,
            room=alice.room,
            info=sent["info"],
            message=sent["message"],
            welcome_blob=large,
        )
    # Somebody else's blob is nobody's.
    bob = here.member("carol")
    theirs = bob.put(sent["message"])
    with pytest.raises(refusals.GroupBlob):
        alice.ask(messages.COMMIT, room=alice.room, info=sent["info"], blob=theirs)
    mine = alice.put(sent["message"])
    alice.ask(messages.COMMIT, room=alice.room, info=sent["info"], blob=mine)


def test_a_group_that_grows_and_shrinks_keeps_its_rows_in_step(here: Here) -> None:
    """Random adds and removals; ``flaws`` compares leaves, tree and members at the end."""
    alice = here.member("alice")
    alice.create()
    inside: list[Member] = []
    outside = [here.member(f"person{number}") for number in range(8)]
    dice = random.Random(7)
    for _ in range(40):
        if outside and dice.random() < 0.6:
            one = outside.pop(dice.randrange(len(outside)))
            one.group, one.out = None, False
            alice.add(one)
            inside.append(one)
        elif inside:
            one = inside.pop(dice.randrange(len(inside)))
            one.read()
            alice.commit(Remove(one.leaf), said=encode_reasons(NO_REASON))
            outside.append(one)
        if inside and dice.random() < 0.5:
            alice.read()
            other = dice.choice(inside)
            other.read()
            other.commit()
            alice.read()
        assert here.flaws() == []
    here.agree(alice, *inside)


@pytest.mark.parametrize("item", [b"\2\0", b"\1\0\3" + bytes(4), b"\1\0\6\0"])
def test_megabytes_of_small_proposals_are_refused_before_they_are_read(
    here: Here, item: bytes
) -> None:
    """A member could otherwise hold the server for seconds, with hundreds of megabytes."""
    alice, bob = room_of(here, "alice", "bob")
    sent = alice.committing()
    message = decode_message(sent["message"])
    assert isinstance(message, PublicMessage)
    framed = message.authenticated.framed
    many = item * ((limits.COMMIT_BYTES - 8_000) // len(item))
    commit = opaque(many) + b"\1" + framed.content.commit.path.encode()  # type: ignore[union-attr]
    body = framed.encode()
    head = body[: len(body) - len(framed.content.encode())]
    assert message.membership_tag is not None
    junk = sent["message"][:4] + head + commit + message.authenticated.auth()
    junk += opaque(message.membership_tag)
    with pytest.raises(refusals.GroupRefused, match="more items"):
        alice.send_commit({**sent, "message": junk})
    alice.send_commit(sent)
    here.agree(alice, bob)
