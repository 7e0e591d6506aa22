"""Direct conversations that follow others: who gets them, and what is taken in those that are over."""

import os

import pytest

from lairchat.features.delivery.messages import EPHEMERAL, TOMBSTONE
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms.messages import CREATE, DIRECT, MEMBERS, MINE, REFOUND
from lairchat.mls.objects import GroupContextExtensions, Remove
from lairchat.model import limits, refusals
from lairchat.trust.policy import context_extensions, direct_policy, private_policy
from tests.features.delivery.test_commits import refused
from tests.features.delivery.world import Here, Member
from tests.features.legacy import legacy_direct


def talking(here: Here) -> tuple[Member, Member]:
    """Return two people in the conversation of the two."""
    alice, bob = here.member("alice"), here.member("bob")
    alice.open(bob)
    alice.add(bob)
    return alice, bob


def places(member: Member) -> list[tuple[int, int | None, int | None]]:
    """Return the direct conversations that somebody has, and which follow which."""
    return [
        (one.room, one.follows, one.followed_by)
        for one in member.ask(MINE).rooms
        if one.kind == "direct"
    ]


def anew(alice: Member, bob: Member) -> tuple[int, int]:
    """Found a successor; return (the conversation before, the new one)."""
    assert alice.group is not None
    old, before = alice.room, alice.group.context.group_id
    alice.room = alice.ask(REFOUND, room=old).room
    alice.found(direct_policy(alice.person.id, bob.person.id, before))
    alice.add(bob)
    return old, alice.room


def test_both_get_one_successor_and_both_list_both(here: Here) -> None:
    alice, bob = talking(here)
    old = alice.room
    made = alice.ask(REFOUND, room=old)
    assert (made.kind, made.crypto, made.name, made.follows) == ("direct", "mls", "bob", old)
    told = bob.ask(REFOUND, room=old)
    assert (told.room, told.name, told.follows) == (made.room, "alice", old)
    assert alice.ask(REFOUND, room=old).room == made.room
    for one, name in ((alice, "bob"), (bob, "alice")):
        assert places(one) == [(old, None, made.room), (made.room, old, None)]
        assert {room.name for room in one.ask(MINE).rooms if room.kind == "direct"} == {name}
    assert alice.ask(DIRECT, name="bob", crypto="mls").room == made.room
    # And of that one as well, if it is lost in its turn; who asks for the first gets the last.
    third = bob.ask(REFOUND, room=made.room)
    assert places(alice)[-1] == (third.room, made.room, None)
    assert alice.ask(REFOUND, room=old).room == third.room


def test_of_two_who_ask_at_once_none_makes_a_second(here: Here) -> None:
    alice, bob = talking(here)
    requests = [(one, one.client.give(REFOUND, room=alice.room)) for one in (alice, bob)]
    here.server.settle()
    assert len({one.client.answer(request).room for one, request in requests}) == 1
    assert len(places(bob)) == 2


def test_only_its_two_people_found_a_direct_conversation_anew(here: Here) -> None:
    alice, bob = talking(here)
    carol = here.member("carol")
    with pytest.raises(refusals.RoomUnknown):
        carol.ask(REFOUND, room=alice.room)
    private = alice.ask(CREATE, name="", access="private", crypto="mls").room
    with pytest.raises(refusals.RoomEncrypted):
        alice.ask(REFOUND, room=private)
    plain = legacy_direct(here.server, alice.client, carol.client)
    with pytest.raises(refusals.RoomPlain):
        alice.ask(REFOUND, room=plain)
    here.server.change(
        lambda c: c.exec_driver_sql(f"UPDATE rooms SET archived_at = 1 WHERE id = {alice.room}")
    )
    with pytest.raises(refusals.RoomArchived):
        bob.ask(REFOUND, room=alice.room)


def test_it_is_founded_a_few_times_a_day(here: Here) -> None:
    alice, bob = talking(here)
    room = alice.room
    for _ in range(limits.DIRECTS_ANEW_A_DAY - 1):
        room = alice.ask(REFOUND, room=room).room
    room = bob.ask(REFOUND, room=room).room
    for one in (alice, bob):
        with pytest.raises(refusals.RateLimited) as refusal:
            one.ask(REFOUND, room=room)
        assert 0 < refusal.value.retry_after <= limits.DAY
    # What there is, is told all the same.
    assert alice.ask(REFOUND, room=alice.room).room == room
    here.clock.advance(refusal.value.retry_after + 1)
    assert alice.ask(REFOUND, room=room).follows == room


def test_a_clock_that_was_ahead_keeps_nobody_waiting(here: Here) -> None:
    alice, _ = talking(here)
    room = alice.room
    for _ in range(limits.DIRECTS_ANEW_A_DAY):
        room = alice.ask(REFOUND, room=room).room
    year = 365 * limits.DAY * 1000
    here.server.change(
        lambda c: c.exec_driver_sql(f"UPDATE rooms SET created_at = created_at + {year}")
    )
    assert alice.ask(REFOUND, room=room).follows == room


def test_the_policy_names_the_group_that_it_follows(here: Here) -> None:
    alice, bob = talking(here)
    carol = here.member("carol")
    assert alice.group is not None
    old, before = alice.room, alice.group.context.group_id
    alice.room = alice.ask(REFOUND, room=old).room
    parties = alice.person.id, bob.person.id
    for wrong in (
        direct_policy(*parties),
        direct_policy(*parties, bytes(16)),
        direct_policy(alice.person.id, carol.person.id, before),
        private_policy([alice.person.id]),
    ):
        with pytest.raises(refusals.GroupRefused):
            alice.found(wrong)
    alice.found(direct_policy(*parties, before))
    alice.add(bob)
    alice.say(b"here we are again")
    bob.read()
    assert bob.texts == [b"here we are again"]
    # Nobody turns it into the successor of another one, or of none, later.
    for other in (direct_policy(*parties), direct_policy(*parties, bytes(16))):
        change = GroupContextExtensions(context_extensions(other, here.identity.public_key))
        refused(alice, alice.committing(change), refusals.GroupRefused)


def test_a_first_conversation_follows_none(here: Here) -> None:
    alice, bob = here.member("alice"), here.member("bob")
    alice.room = alice.ask(DIRECT, name="bob", crypto="mls").room
    with pytest.raises(refusals.GroupRefused):
        alice.found(direct_policy(alice.person.id, bob.person.id, bytes(16)))


def test_the_successor_of_one_that_was_never_founded_follows_the_one_before(here: Here) -> None:
    alice, bob = here.member("alice"), here.member("bob")
    room = alice.ask(DIRECT, name="bob", crypto="mls").room
    alice.room = alice.ask(REFOUND, room=room).room
    alice.found(direct_policy(alice.person.id, bob.person.id))
    assert alice.group is not None
    first = alice.group.context.group_id
    unfounded = alice.ask(REFOUND, room=alice.room).room
    alice.room = alice.ask(REFOUND, room=unfounded).room
    alice.found(direct_policy(alice.person.id, bob.person.id, first))


def test_nothing_more_is_taken_in_one_that_is_over(here: Here) -> None:
    alice, bob = talking(here)
    said = bob.say(b"hello")
    old = alice.room
    alice.read()
    group = bob.group
    assert group is not None
    proposal, _ = group.propose(Remove(bob.leaf), os.urandom)
    commit = alice.committing()
    alice.ask(REFOUND, room=old)
    refused(alice, commit, refusals.RoomFollowed)
    with pytest.raises(refusals.RoomFollowed):
        bob.ask(EPHEMERAL, room=old, body=b"typing")
    with pytest.raises(refusals.RoomFollowed):
        bob.say(b"more")
    with pytest.raises(refusals.RoomFollowed):
        bob.propose(proposal)
    # It is read as before, and what one has said there can still be taken back.
    assert bob.ask(MEMBERS, room=old).total == 2
    key = bob.client.new_key()
    bob.client.ask(TOMBSTONE, key, room=old, seq=said.seq)
    last = alice.ask(HISTORY, room=old).events[-1]
    assert last.kind == "hint"
