"""How encrypted rooms begin, what the server tells of their groups, and what is proposed in them."""

import os
from typing import Any

import pytest

from lairchat.features.delivery import messages
from lairchat.features.identities.messages import PROVE
from lairchat.features.messages.messages import HISTORY
from lairchat.features.moderation.messages import BAN, KICK
from lairchat.features.rooms.messages import (
    CREATE,
    DIRECT,
    INVITE,
    JOIN,
    LEAVE,
    LIST,
    MEMBERS,
    MINE,
    ROLE,
    TOPIC,
)
from lairchat.mls.messages import decode_message, encode_message
from lairchat.mls.objects import Add, Remove
from lairchat.model import limits, refusals
from lairchat.trust.policy import Because, Removal, direct_policy, encode_reasons, private_policy
from tests.features.delivery.test_commits import kept, refused, room_of
from tests.features.delivery.world import Device, Here, Member
from tests.features.legacy import legacy_direct
from tests.harness import Client
from tests.trust.people import SERVER
from tests.trust.rooms import NO_REASON

# -- making the room


def test_an_encrypted_room_is_private_and_tells_the_server_no_name(here: Here) -> None:
    alice = here.member("alice")
    for wrong, kind in (
        ({"access": "public", "name": ""}, refusals.RoomCrypto),
        ({"access": "private", "name": "secret"}, refusals.RoomEncrypted),
        ({"access": "private", "name": "", "topic": "plans"}, refusals.RoomEncrypted),
    ):
        with pytest.raises(kind):
            alice.ask(CREATE, crypto="mls", **wrong)
    made = alice.ask(CREATE, name="", access="private", crypto="mls")
    assert (made.name, made.crypto, made.access, made.role) == ("", "mls", "private", "member")
    # A second one has no name either, and no list shows one.
    alice.ask(CREATE, name="", access="private", crypto="mls")
    assert [room.name for room in alice.ask(LIST).rooms] == ["lobby"]
    assert [room.crypto for room in alice.ask(MINE).rooms] == ["plain", "mls", "mls"]


def test_it_needs_keys(here: Here) -> None:
    alice = here.member("alice")
    plain = Client(here.server)
    plain.register("oldtimer")
    with pytest.raises(refusals.IdentityUnknown):
        plain.ask(CREATE, name="", access="private", crypto="mls")
    with pytest.raises(refusals.IdentityUnknown):
        alice.ask(DIRECT, name="oldtimer", crypto="mls")
    with pytest.raises(refusals.IdentityUnknown):
        plain.ask(DIRECT, name="alice", crypto="mls")
    with pytest.raises(refusals.RoomUnencrypted):
        plain.ask(DIRECT, name="alice")


def test_what_the_policy_decides_no_command_of_plain_rooms_does(here: Here) -> None:
    alice, _, carol = room_of(here, "alice", "bob", "carol")
    here.member("dave")
    room = alice.room
    for command, arguments in (
        (TOPIC, {"topic": "plans"}),
        (INVITE, {"name": "dave"}),
        (ROLE, {"name": "bob", "role": "moderator"}),
        (ROLE, {"name": "alice", "role": "guest"}),
        (KICK, {"name": "bob"}),
        (BAN, {"name": "bob"}),
        (LEAVE, {}),
    ):
        with pytest.raises(refusals.RoomEncrypted):
            alice.ask(command, room=room, **arguments)
    with pytest.raises(refusals.RoomNameBad):
        carol.ask(JOIN, name="")


def test_two_people_have_a_plain_conversation_and_an_encrypted_one(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    legacy_direct(here.server, alice.client, bob.client)
    plain = alice.ask(DIRECT, name="bob")
    sealed = bob.ask(DIRECT, name="alice", crypto="mls")
    assert plain.room != sealed.room
    assert (sealed.crypto, sealed.name, sealed.peer) == ("mls", "alice", plain.peer - 1)
    assert alice.ask(DIRECT, name="bob", crypto="mls").room == sealed.room
    assert alice.ask(DIRECT, name="bob").room == plain.room
    names = {room.room: (room.name, room.crypto) for room in alice.ask(MINE).rooms}
    assert names[plain.room] == ("bob", "plain")
    assert names[sealed.room] == ("bob", "mls")


# -- founding the group


def test_a_group_begins_with_the_device_that_founds_it(here: Here) -> None:
    alice = here.member("alice")
    alice.create()
    state = alice.ask(messages.STATE, room=alice.room)
    assert alice.group is not None
    assert (state.epoch, state.devices, state.removals, state.proposals) == (0, 1, 0, 0)
    assert (state.group, state.tree_hash) == (
        alice.group.context.group_id,
        alice.group.context.tree_hash,
    )


def test_two_who_found_one_conversation_at_once_get_one_group(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    policy = direct_policy(alice.person.id, bob.person.id)
    opened = [
        one.client.give(DIRECT, name=name, crypto="mls")
        for one, name in ((alice, "bob"), (bob, "alice"))
    ]
    here.server.settle()
    alice.room, bob.room = (
        one.client.answer(request).room for one, request in zip((alice, bob), opened, strict=True)
    )
    assert alice.room == bob.room
    given = [
        one.client.give(messages.FOUND, room=one.room, **one.founding(policy))
        for one in (alice, bob)
    ]
    here.server.settle()
    alice.seq = alice.client.answer(given[0]).seq
    with pytest.raises(refusals.GroupExists):
        bob.client.answer(given[1])
    bob.group = None
    alice.add(bob)
    here.agree(alice, bob)
    with pytest.raises(refusals.GroupExists):
        alice.ask(messages.FOUND, room=alice.room, **bob.founding(policy))


def test_a_founding_that_is_repeated_by_id_is_answered_alike(here: Here) -> None:
    alice = here.member("alice")
    alice.room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    arguments = alice.founding(private_policy([alice.person.id]))
    key = alice.client.new_key()
    first = alice.client.ask(messages.FOUND, key, room=alice.room, **arguments)
    before = kept(here)
    assert alice.client.ask(messages.FOUND, key, room=alice.room, **arguments) == first
    assert kept(here) == before


def test_what_is_no_beginning_of_this_room_is_refused(here: Here) -> None:
    alice, bob, carol = (here.member(name, devices=2) for name in ("alice", "bob", "carol"))
    mine, theirs = alice.person.id, bob.person.id
    room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    direct = alice.ask(DIRECT, name="bob", crypto="mls").room

    def found(member: Member, where: int, policy: Any, **more: Any) -> None:
        arguments = member.founding(policy, **more)
        member.ask(messages.FOUND, room=where, **arguments)

    wrong = [
        (alice, room, direct_policy(mine, theirs)),
        (alice, room, private_policy([theirs])),
        (alice, room, private_policy([mine, theirs])),
        (alice, room, private_policy([mine], [theirs])),
        (alice, direct, private_policy([mine])),
        (alice, direct, direct_policy(mine, carol.person.id)),
        (bob, direct, direct_policy(theirs, carol.person.id)),
    ]
    for member, where, policy in wrong:
        with pytest.raises(refusals.GroupRefused):
            found(member, where, policy)
    with pytest.raises(refusals.GroupRefused):
        found(alice, room, private_policy([mine]), group_id=os.urandom(15))
    with pytest.raises(refusals.RoomUnknown):
        found(carol, direct, direct_policy(mine, theirs))
    # A device that is not the one that founds, and information that is another's.
    second = here.member("alice", 2)
    arguments = second.founding(private_policy([mine]))
    with pytest.raises(refusals.GroupRefused):
        alice.ask(messages.FOUND, room=room, **arguments)
    arguments = alice.founding(private_policy([mine]))
    other = alice.founding(private_policy([mine]))
    for lie in (
        {**arguments, "tree": other["tree"]},
        {**arguments, "info": other["info"]},
        {**arguments, "tree": b"junk"},
        {**arguments, "info": b"junk"},
    ):
        with pytest.raises(refusals.GroupRefused):
            alice.ask(messages.FOUND, room=room, **lie)
    assert here.server.look(lambda c: c.exec_driver_sql("SELECT * FROM mls_groups").all()) == []


def test_a_group_that_is_not_alone_at_its_beginning_is_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    assert alice.group is not None
    info = encode_message(alice.group.group_info(with_tree=False))
    with pytest.raises(refusals.GroupRefused):
        alice.ask(messages.FOUND, room=room, info=info, tree=alice.group.public.tree.encode())
    assert bob.group is not None


def test_no_second_group_of_one_id(here: Here) -> None:
    alice = here.member("alice")
    alice.create()
    assert alice.group is not None
    taken = alice.group.context.group_id
    room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    arguments = alice.founding(private_policy([alice.person.id]), taken)
    with pytest.raises(refusals.GroupExists):
        alice.ask(messages.FOUND, room=room, **arguments)


def test_a_session_that_is_another_device_meanwhile_founds_nothing(here: Here) -> None:
    alice = here.member("alice", devices=2)
    room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    arguments = alice.founding(private_policy([alice.person.id]))
    second = Device(alice.person, 2, here.logs, here.identity.public_key)
    session = alice.client.session
    assert session is not None
    proof = second.proof(SERVER, session.session, session.device)
    # Its proof is in the writer's queue before the founding, which is judged before it is taken.
    given = alice.client.give(PROVE, device=second.identity.device, signature=proof)
    request = alice.client.give(messages.FOUND, room=room, **arguments)
    here.server.settle()
    alice.client.answer(given)
    with pytest.raises(refusals.DeviceUnproven):
        alice.client.answer(request)


def test_a_plain_room_has_no_group(here: Here) -> None:
    alice = here.member("alice")
    alice.room = alice.ask(CREATE, name="ops").room
    for command in (messages.STATE, messages.INFO, messages.LEASE, messages.LEAVE):
        with pytest.raises(refusals.RoomPlain):
            alice.ask(command, room=alice.room)
    with pytest.raises(refusals.RoomPlain):
        alice.found(private_policy([alice.person.id]))
    with pytest.raises(refusals.RoomPlain):
        alice.send_commit(alice.committing())


def test_before_it_is_founded_there_is_nothing_to_read(here: Here) -> None:
    alice = here.member("alice")
    room = alice.ask(CREATE, name="", access="private", crypto="mls").room
    for command in (messages.STATE, messages.INFO):
        with pytest.raises(refusals.GroupMissing):
            alice.ask(command, room=room)
    with pytest.raises(refusals.GroupTree):
        alice.ask(messages.TREE, room=room, epoch=0)
    alice.founding(private_policy([alice.person.id]))
    alice.room = room
    with pytest.raises(refusals.GroupMissing):
        alice.send_commit(alice.committing())
    with pytest.raises(refusals.GroupMissing):
        alice.say(b"hello?")


# -- reading it


def test_the_tree_of_each_epoch_can_be_read_part_by_part(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    trees = {1: alice.tree(1)}
    for name in ("carol", "dave"):
        alice.add(here.member(name))
        trees[alice.epoch] = alice.tree(alice.epoch)
        assert alice.group is not None
        assert trees[alice.epoch] == alice.group.public.tree.encode()
    bob.read()
    for epoch, tree in trees.items():
        assert bob.tree(epoch) == tree
        part = bob.ask(messages.TREE, room=bob.room, epoch=epoch, offset=100, length=50)
        assert part.data == tree[100:150]
        with pytest.raises(refusals.BlobOffset):
            bob.ask(messages.TREE, room=bob.room, epoch=epoch, offset=len(tree))
    with pytest.raises(refusals.GroupTree):
        bob.tree(99)


def test_trees_nobody_needs_any_more_are_forgotten_and_the_newest_stays(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    alice.commit()
    old = alice.epoch
    alice.commit()
    here.server.wait(limits.TREES_KEPT_SECONDS + 1)
    bob.read()
    bob.commit()
    alice.read()
    alice.commit()
    here.server.upkeep()
    with pytest.raises(refusals.GroupTree):
        bob.tree(old)
    here.agree(alice, bob)
    assert alice.group is not None
    assert bob.tree(alice.epoch) == alice.group.public.tree.encode()


def test_the_group_information_is_the_last_committers(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    bob.commit()
    told = alice.ask(messages.INFO, room=alice.room)
    info = decode_message(told.info)
    assert (told.epoch, info.signer) == (2, bob.leaf)  # type: ignore[union-attr]


def test_one_device_at_a_time_is_the_one_to_commit(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    lease = alice.ask(messages.LEASE, room=alice.room)
    assert lease.seconds == limits.LEASE_SECONDS
    with pytest.raises(refusals.GroupLease) as caught:
        bob.ask(messages.LEASE, room=bob.room)
    assert 0 < (caught.value.retry_after or 0) <= limits.LEASE_SECONDS
    alice.ask(messages.LEASE, room=alice.room)
    here.server.wait(limits.LEASE_SECONDS + 0.1)
    assert bob.ask(messages.LEASE, room=bob.room).seconds == limits.LEASE_SECONDS


# -- proposals


def test_a_members_proposal_is_taken_up_by_anothers_commit(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    assert bob.group is not None
    message, bob.proposing = bob.group.propose_update(os.urandom)
    bob.propose(message)
    assert alice.ask(messages.STATE, room=alice.room).proposals == 1
    for member in (alice, bob, carol):
        member.read()
    before = bob.group.own_leaf.encryption_key
    alice.commit()
    here.agree(alice, bob, carol)
    assert bob.group.own_leaf.encryption_key != before
    assert alice.ask(messages.STATE, room=alice.room).proposals == 0


def test_proposals_that_may_not_be_are_refused(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    assert bob.group is not None
    said = encode_reasons(NO_REASON)
    banned = encode_reasons(Removal(Because.BANNED, NO_REASON.head))
    ghost = bob.person.package(9).package
    wrong = [
        bob.group.propose(Remove(carol.leaf), os.urandom, authenticated_data=said)[0],
        bob.group.propose(Remove(carol.leaf), os.urandom, authenticated_data=banned)[0],
        bob.group.propose(Remove(carol.leaf), os.urandom)[0],
        bob.group.propose(Add(ghost), os.urandom)[0],
        b"junk",
        bob.group.propose_update(os.urandom, private=True)[0],
        bob.committing()["message"],
    ]
    before = kept(here)
    for message in wrong:
        with pytest.raises(refusals.GroupRefused):
            bob.propose(message)
    theirs, _ = carol.group.propose_update(os.urandom)  # type: ignore[union-attr]
    with pytest.raises(refusals.GroupRefused):
        bob.propose(theirs)
    assert kept(here) == before
    late, _ = bob.group.propose_update(os.urandom)
    alice.commit()
    with pytest.raises(refusals.EpochStale):
        bob.propose(late)


def test_proposals_that_do_not_go_together_are_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    assert bob.group is not None
    first, _ = bob.group.propose_update(os.urandom)
    second, _ = bob.group.propose_update(os.urandom)
    given = [
        bob.client.give(messages.PROPOSE, room=bob.room, message=one) for one in (first, second)
    ]
    here.server.settle()
    bob.client.answer(given[0])
    with pytest.raises(refusals.GroupRefused):
        bob.client.answer(given[1])
    assert alice.ask(messages.STATE, room=alice.room).proposals == 1


def test_a_device_has_so_many_proposals_waiting(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    packages = [here.member(f"person{number}") for number in range(limits.PROPOSALS_PER_DEVICE + 1)]
    assert alice.group is not None
    for number, add in enumerate(alice.adding(*packages)):
        message, _ = alice.group.propose(add, os.urandom)
        if number < limits.PROPOSALS_PER_DEVICE:
            alice.propose(message)
        else:
            with pytest.raises(refusals.GroupProposals):
                alice.propose(message)
    own, _ = bob.group.propose_update(os.urandom)  # type: ignore[union-attr]
    bob.propose(own)


def test_a_proposal_repeated_by_id_is_answered_alike_after_its_epoch(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    assert bob.group is not None
    message, bob.proposing = bob.group.propose_update(os.urandom)
    key = bob.client.new_key()
    bob.keys.add(key)
    first = bob.client.ask(messages.PROPOSE, key, room=bob.room, message=message)
    alice.read()
    alice.commit()
    before = kept(here)
    assert bob.client.ask(messages.PROPOSE, key, room=bob.room, message=message) == first
    assert kept(here) == before
    here.agree(alice, bob)


def test_a_room_put_away_changes_no_more(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    here.server.change(
        lambda c: c.exec_driver_sql(f"UPDATE rooms SET archived_at = 1 WHERE id = {alice.room}")
    )
    refused(alice, alice.committing(), refusals.RoomArchived)
    with pytest.raises(refusals.RoomArchived):
        alice.say(b"hello")
    assert alice.ask(HISTORY, room=alice.room).events
    assert bob.ask(MEMBERS, room=bob.room).total == 2
