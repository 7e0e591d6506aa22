"""Commits: one wins each epoch, and none that is wrong in what can be seen is taken."""

import os
from dataclasses import replace
from typing import Any

import pytest

from lairchat.features.delivery import messages
from lairchat.features.identities.messages import PROVE
from lairchat.features.inbox import tables as inboxes
from lairchat.features.inbox.messages import READ as READ_INBOX
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import MEMBERS, MINE
from lairchat.mls.joining import join_external
from lairchat.mls.keypackages import make_key_package
from lairchat.mls.messages import (
    GroupInfo,
    PublicMessage,
    Welcome,
    decode_message,
    encode_message,
)
from lairchat.mls.objects import (
    EXTERNAL_PUB,
    Add,
    BasicCredential,
    Extension,
    GroupContextExtensions,
    Lifetime,
    Remove,
)
from lairchat.mls.suites import HYBRID
from lairchat.model import limits, refusals
from lairchat.model.roles import RoomRole
from lairchat.trust.leaf import LeafIdentity
from lairchat.trust.policy import (
    CAPABILITIES,
    Because,
    Removal,
    context_extensions,
    direct_policy,
    encode_reasons,
    head_extension,
    private_policy,
)
from tests.features.delivery.world import Device, Here, Member, Person
from tests.harness import Client
from tests.trust.people import SERVER
from tests.trust.rooms import NO_REASON, signing_seed


def room_of(here: Here, *names: str) -> list[Member]:
    """Return a device each of these people, in a private room that the first has made."""
    found = [here.member(name) for name in names]
    found[0].create()
    if len(found) > 1:
        found[0].add(*found[1:])
    here.agree(*found)
    return found


def kept(here: Here) -> Any:
    """Return all that the server keeps of groups, logs and inboxes, to compare."""
    names = (
        *("mls_groups", "group_nodes", "group_leaves", "group_epochs", "group_proposals"),
        *("group_removals", "group_bodies", "memberships", "log_events", "inbox_entries"),
    )

    def look(connection: Any) -> Any:
        return [connection.exec_driver_sql(f"SELECT * FROM {name}").fetchall() for name in names]

    return here.server.look(look)


def refused(member: Member, arguments: dict[str, bytes], kind: type[refusals.Refusal]) -> Any:
    """Hold the server to refusing a commit, and to nothing else; return the refusal."""
    before = kept(member.here)
    with pytest.raises(kind) as caught:
        member.send_commit(arguments)
    assert kept(member.here) == before
    return caught.value


# -- what a commit does


def test_members_follow_a_commit_and_newcomers_their_welcome(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    alice.say(b"hello")
    bob.read()
    carol.read()
    assert bob.texts == carol.texts == [b"hello"]
    members = alice.ask(MEMBERS, room=alice.room)
    assert [(one.name, one.role) for one in members.members] == [
        ("alice", "member"),
        ("bob", "member"),
        ("carol", "member"),
    ]
    (found,) = [room for room in carol.ask(MINE).rooms if room.crypto == "mls"]
    assert (found.name, found.topic, found.access, found.members) == ("", "", "private", 3)


def test_those_online_are_told_at_once(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    carol = here.member("carol")
    bob.client.forget()
    carol.client.forget()
    committed = alice.add(carol)
    (event,) = [one for one in bob.client.events("message") if one.kind == "commit"]
    assert (event.seq, event.name) == (committed.seq, "alice")
    (joined,) = carol.client.events("room.joined")
    assert (joined.room.room, joined.room.members, joined.room.head) == (
        alice.room,
        3,
        committed.seq,
    )
    assert [one.seq for one in carol.client.events("inbox.new")] == [1]
    assert not [one for one in carol.client.events("message") if one.kind == "commit"]


def test_each_newcomer_gets_a_welcome_with_its_own_secrets_only(here: Here) -> None:
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    alice.create()
    sent = alice.committing(*alice.adding(bob, carol))
    whole = decode_message(sent["welcome"])
    assert isinstance(whole, Welcome)
    alice.send_commit(sent)
    parts = []
    for member in (bob, carol):
        (entry,) = member.ask(READ_INBOX).entries
        assert (entry.kind, entry.account, entry.sender) == (
            "welcome",
            alice.person.id,
            alice.identity.device,
        )
        one = decode_message(entry.body)
        assert isinstance(one, Welcome)
        parts += one.secrets
    assert {one.new_member for one in parts} == {one.new_member for one in whole.secrets}
    assert len(parts) == 2
    assert alice.ask(READ_INBOX).entries == []


def test_whoever_is_removed_is_out_and_told_why(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    carol.client.forget()
    alice.commit(Remove(carol.leaf), said=encode_reasons(NO_REASON))
    here.agree(alice, bob)
    (left,) = carol.client.events("room.left")
    assert (left.room, left.code) == (alice.room, "LC-KICKED")
    with pytest.raises(refusals.RoomUnknown):
        carol.ask(HISTORY, room=alice.room)
    with pytest.raises(refusals.RoomUnknown):
        carol.say(b"still here")
    assert alice.ask(MEMBERS, room=alice.room).total == 2


def test_a_second_device_comes_in_by_itself_and_its_person_stays_one_member(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    entries = alice.person.certify(2)
    here.append(alice, entries, 1)
    laptop = here.member("alice", 2)
    laptop.room = alice.room
    reply = laptop.send_commit(laptop.rejoin())
    laptop.won()
    laptop.seq = reply.seq
    here.agree(alice, laptop)
    assert alice.ask(MEMBERS, room=alice.room).total == 2


def test_a_device_that_lost_its_state_takes_its_own_old_place(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    old = bob.leaf
    bob.group = None
    reply = bob.send_commit(bob.rejoin(remove=old))
    bob.won()
    bob.seq = reply.seq
    here.agree(alice, bob)
    devices = alice.ask(messages.STATE, room=alice.room).devices
    assert devices == 2


def test_the_server_knows_the_group_again_after_a_restart(tmp_path: Any) -> None:
    first = Here(url=f"sqlite:///{tmp_path}/lair.db")
    alice, bob = room_of(first, "alice", "bob")
    token = alice.client.session.token
    first.close()
    second = Here(url=f"sqlite:///{tmp_path}/lair.db")
    client = Client(second.server)
    client.resume(token)
    alice.here, alice.client = second, client
    alice.prove()
    alice.commit()
    bob.here, bob.client = second, Client(second.server)
    bob.client.login("bob")
    bob.prove()
    second.agree(alice, bob)
    second.close()


# -- of two


def test_the_second_commit_of_an_epoch_is_told_which_one_won(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    mine, theirs = alice.committing(), bob.committing()
    first, second = alice.give_commit(mine), bob.give_commit(theirs)
    here.server.settle()
    assert alice.client.answer(first).epoch == 2
    with pytest.raises(refusals.EpochStale) as caught:
        bob.client.answer(second)
    assert "it is in epoch 2" in caught.value.text
    bob.read()
    bob.commit()
    here.agree(alice, bob)


def test_a_commit_of_an_epoch_that_is_over_is_refused_also_later(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    late = bob.committing()
    alice.commit()
    refused(bob, late, refusals.EpochStale)


def test_a_commit_comes_again_under_another_id_for_nothing(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    sent = alice.committing()
    alice.send_commit(sent)
    alice.read()
    refused(alice, sent, refusals.EpochStale)


def test_a_repeat_by_id_is_answered_alike_also_when_the_epoch_has_moved_on(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent, key = alice.committing(), alice.client.new_key()
    first = alice.send_commit(sent, key)
    alice.read()
    bob.read()
    bob.commit()
    alice.read()
    before = kept(here)
    assert alice.send_commit(sent, key) == first
    assert kept(here) == before
    # As sent twice before the first is answered, too.
    sent, key = alice.committing(), alice.client.new_key()
    requests = [alice.give_commit(sent, key), alice.give_commit(sent, key)]
    here.server.settle()
    assert len({alice.client.answer(request).seq for request in requests}) == 1
    here.agree(alice, bob)


# -- what is wrong


def test_a_tampered_commit_is_refused_whichever_bit_it_is(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent = alice.committing()
    size = len(sent["message"])
    # The tag at the end is the members' to check: only they have its key.
    for place in [*range(0, size - 49, size // 40), size - 50]:
        flipped = bytearray(sent["message"])
        flipped[place] ^= 1
        with pytest.raises((refusals.GroupRefused, refusals.EpochStale)):
            alice.send_commit({**sent, "message": bytes(flipped)})
    alice.send_commit(sent)
    here.agree(alice, bob)


@pytest.mark.parametrize("junk", [b"", b"\0", b"junk", os.urandom(2_000), b"\0\1\0\1" + bytes(99)])
def test_junk_is_no_commit(here: Here, junk: bytes) -> None:
    alice, _ = room_of(here, "alice", "bob")
    sent = alice.committing()
    refused(alice, {**sent, "message": junk}, refusals.GroupRefused)
    if junk:
        refused(alice, {**sent, "info": junk}, refusals.GroupRefused)
        refused(alice, {**sent, "welcome": junk}, refusals.GroupRefused)


def test_a_session_that_has_proven_nothing_changes_nothing(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    stranger = Client(here.server)
    stranger.login("alice")  # whoever has the password, as after an administrator's reset
    alice.client, mine = stranger, alice.client
    refused(alice, alice.committing(), refusals.DeviceUnproven)
    for command in (messages.STATE, messages.INFO, messages.LEASE, messages.LEAVE):
        with pytest.raises(refusals.DeviceUnproven):
            alice.ask(command, room=alice.room)
    with pytest.raises(refusals.DeviceUnproven):
        alice.tree(1)
    alice.client = mine
    here.agree(alice, bob)


def test_a_device_sends_its_own_commits_only(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    theirs = bob.committing()
    refused(alice, theirs, refusals.GroupRefused)


def test_a_device_of_nobody_here_changes_nothing(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    mallory = here.member("mallory")
    mallory.room = alice.room
    for command in (messages.STATE, messages.INFO, messages.LEASE, messages.LEAVE):
        with pytest.raises(refusals.RoomUnknown):
            mallory.ask(command, room=alice.room)
    # With the group information from somewhere else.
    told = alice.ask(messages.INFO, room=alice.room)
    sent = mallory.joining(told.info, alice.tree(told.epoch))
    refused(mallory, sent, refusals.RoomUnknown)


def test_an_insider_adds_no_device_that_is_not_certified(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    # One that the log does not know, one by another key, one of an account that is not here.
    ghost = bob.person.package(7)
    swapped = bob.person.package(1, signing_key=signing_seed("mallory", 1))
    stranger = Person("stranger").package()
    for package in (ghost, swapped):
        refused(alice, alice.committing(Add(package.package)), refusals.GroupRefused)
    refused(alice, alice.committing(Add(stranger.package)), refusals.GroupLog)


def test_an_insider_adds_no_revoked_device(here: Here) -> None:
    alice = here.member("alice")
    bob = here.member("bob", devices=2)
    alice.create()
    old = bob.person.package(2)
    here.append(bob, bob.person.revoke(2), 2)
    fresh = bob.person.package(2)
    for package in (old, fresh):  # made before the revocation, and after it
        refused(alice, alice.committing(Add(package.package)), refusals.GroupRefused)


def test_a_log_that_the_server_does_not_have_is_asked_for(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    entries = alice.person.certify(2)  # not published
    package = alice.person.package(2)
    refused(alice, alice.committing(Add(package.package)), refusals.GroupLog)
    here.append(alice, entries, 1)
    alice.commit(Add(package.package))
    here.agree(alice, bob)


def test_only_those_who_may_add_and_remove_and_give_roles(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    dave = here.member("dave")
    refused(bob, bob.committing(*bob.adding(dave)), refusals.GroupRefused)
    said = encode_reasons(NO_REASON)
    for leaf in (carol.leaf, alice.leaf):
        refused(bob, bob.committing(Remove(leaf), said=said), refusals.GroupRefused)
    policy = private_policy([bob.person.id])
    taken = GroupContextExtensions(context_extensions(policy, here.identity.public_key))
    refused(bob, bob.committing(taken), refusals.GroupRefused)
    given = private_policy([alice.person.id], [bob.person.id])
    alice.commit(GroupContextExtensions(context_extensions(given, here.identity.public_key)))
    here.agree(alice, bob, carol)
    bob.add(dave)
    here.agree(alice, bob, carol, dave)


def test_a_reason_that_is_not_ones_own_to_give_is_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    for because in (Because.BANNED, Because.LEFT):
        said = encode_reasons(Removal(because, NO_REASON.head))
        refused(alice, alice.committing(Remove(bob.leaf), said=said), refusals.GroupRefused)
    revoked = encode_reasons(Removal(Because.REVOKED, bob.person.log.head))
    refused(alice, alice.committing(Remove(bob.leaf), said=revoked), refusals.GroupRefused)


def test_nobody_third_comes_into_a_direct_conversation(here: Here) -> None:
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    alice.open(bob)
    alice.add(bob)
    refused(alice, alice.committing(*alice.adding(carol)), refusals.GroupRefused)
    said = encode_reasons(NO_REASON)
    refused(alice, alice.committing(Remove(bob.leaf), said=said), refusals.GroupRefused)
    here.agree(alice, bob)
    assert alice.ask(MEMBERS, room=alice.room).total == 2


def test_no_key_package_that_has_ended(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    alice.create()
    ended = make_key_package(
        HYBRID,
        BasicCredential(LeafIdentity(bob.person.id, bob.identity.device).encode()),
        signing_seed("bob", 1),
        Lifetime(0, 1_000),
        os.urandom,
        capabilities=CAPABILITIES,
        leaf_extensions=(head_extension(bob.person.log.head),),
    )
    refused(alice, alice.committing(Add(ended.package)), refusals.GroupRefused)


def test_a_session_that_is_another_device_meanwhile_commits_nothing(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    here.append(alice, alice.person.certify(2), 1)
    second = Device(alice.person, 2, here.logs, here.identity.public_key)
    session = alice.client.session
    assert session is not None
    proof = second.proof(SERVER, session.session, session.device)
    given = alice.client.give(PROVE, device=second.identity.device, signature=proof)
    request = alice.give_commit(alice.committing())
    here.server.settle()
    alice.client.answer(given)
    with pytest.raises(refusals.DeviceUnproven):
        alice.client.answer(request)
    assert bob.ask(messages.STATE, room=bob.room).epoch == 1


def test_nobody_is_added_beyond_as_many_rooms_as_one_may_be_in(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    alice.create()
    user = bob.client.session.user

    def fill(connection: Any) -> None:
        for number in range(limits.ROOMS_JOINED):
            room = rooms.create(
                connection,
                kind="room",
                name=f"room{number}",
                access="public",
                posting="members",
                topic="",
                by=user,
                now=0,
            )
            rooms.add(connection, room.id, user, RoomRole.MEMBER, 0)

    here.server.change(fill)
    bob.client.disconnect()  # so that nothing here hears of those rooms
    refused(alice, alice.committing(*alice.adding(bob)), refusals.RoomsMax)


def test_a_full_inbox_keeps_all_that_a_commit_adds_out(here: Here) -> None:
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    alice.create()

    def fill(connection: Any) -> None:
        for _ in range(limits.INBOX_WELCOMES):
            inboxes.deliver(connection, carol.identity, inboxes.WELCOME, None, b"x", 0)

    here.server.change(fill)
    refused(alice, alice.committing(*alice.adding(bob, carol)), refusals.InboxFull)


# -- what comes with a commit


def stated(arguments: dict[str, bytes]) -> GroupInfo:
    found = decode_message(arguments["info"])
    assert isinstance(found, GroupInfo)
    return found


def test_lying_group_information_is_refused_beside_a_good_commit(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    assert alice.group is not None
    old = alice.group.group_info(with_tree=False)
    sent = alice.committing()
    assert alice.pending is not None
    group = alice.pending.group
    info = group.group_info(with_tree=False)
    key = group.signing_key
    other = replace(info.context, tree_hash=bytes(48))
    rebuilt = [
        old,
        replace(info, context=other).sign(HYBRID, key),
        replace(info, context=replace(info.context, epoch=9)).sign(HYBRID, key),
        replace(info, signer=bob.leaf).sign(HYBRID, key),
        replace(info, confirmation_tag=bytes(48)).sign(HYBRID, key),
        replace(info, signature=bytes(64)),
        replace(info, extensions=()).sign(HYBRID, key),
        replace(info, extensions=(Extension(EXTERNAL_PUB, b"\1x"),)).sign(HYBRID, key),
        replace(info, extensions=(*info.extensions, Extension(0xF123, b""))).sign(HYBRID, key),
        group.group_info(with_tree=True),
    ]
    for lie in rebuilt:
        lying = {**sent, "info": encode_message(lie)}
        if len(lying["info"]) <= 16 * 1024:
            refused(alice, lying, refusals.GroupRefused)
    alice.send_commit(sent)
    here.agree(alice, bob)


def test_a_welcome_is_for_those_whom_the_commit_adds(here: Here) -> None:
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    alice.create()
    both = alice.committing(*alice.adding(bob, carol))
    welcome = decode_message(both["welcome"])
    assert isinstance(welcome, Welcome)
    first, second = welcome.secrets
    wrong = [
        replace(welcome, secrets=(first,)),
        replace(welcome, secrets=(first, first)),
        replace(welcome, secrets=(first, second, second)),
        replace(welcome, secrets=(first, replace(second, new_member=bytes(48)))),
        replace(welcome, cipher_suite=1),
        replace(welcome, encrypted_group_info=bytes(17_000)),
    ]
    for one in wrong:
        refused(alice, {**both, "welcome": encode_message(one)}, refusals.GroupRefused)
    refused(alice, {**both, "welcome": b""}, refusals.GroupRefused)
    # Nobody is added: nobody is welcomed.
    alone = alice.committing()
    refused(alice, {**alone, "welcome": both["welcome"]}, refusals.GroupRefused)


def test_a_welcome_with_the_tree_in_it_is_too_large_for_an_inbox(here: Here) -> None:
    alice = here.member("alice", devices=16)
    alice.create()
    packages = [alice.person.package(number) for number in range(2, 17)]
    sent = alice.committing(*[Add(one.package) for one in packages], with_tree=True)
    refused(alice, sent, refusals.GroupRefused)


# -- coming in by oneself


def test_nobody_comes_in_by_itself_whose_account_is_not_in(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    alice.open(bob)  # Bob is in the room, but no device of his in the group
    bob.room = alice.room
    refused(bob, bob.rejoin(), refusals.GroupRefused)


def test_whoever_comes_in_by_itself_removes_nobody_else(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    here.append(carol, carol.person.certify(2), 1)
    laptop = here.member("carol", 2)
    laptop.room = carol.room
    for leaf in (alice.leaf, bob.leaf, carol.leaf):
        refused(laptop, laptop.rejoin(remove=leaf), refusals.GroupRefused)


def test_a_stolen_password_resyncs_nothing(here: Here) -> None:
    _, bob = room_of(here, "alice", "bob")
    thief = Client(here.server)
    thief.login("bob")
    with pytest.raises(refusals.DeviceProof):
        thief.ask(PROVE, device=bob.identity.device, signature=bytes(64))
    told = bob.ask(messages.INFO, room=bob.room)
    info = decode_message(told.info)
    assert isinstance(info, GroupInfo)
    committed = join_external(
        info,
        bob.person.package(),
        os.urandom,
        tree=bob.tree(told.epoch),
        remove=bob.leaf,
        authenticated_data=encode_reasons(NO_REASON),
    )
    with pytest.raises(refusals.DeviceUnproven):
        thief.ask(
            messages.COMMIT,
            room=bob.room,
            message=committed.message,
            info=encode_message(committed.group.group_info(with_tree=False)),
        )


# -- how roles and directs look from inside


def test_a_commit_signed_for_another_group_is_refused(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    sent = alice.committing()
    first, group = alice.room, alice.group
    alice.create()
    refused(alice, sent, refusals.GroupRefused)
    alice.room, alice.group = first, group


def test_a_commit_without_a_path_is_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    dave = here.member("dave")
    assert alice.group is not None
    alice.pending = alice.group.commit(os.urandom, proposals=alice.adding(dave), path=False)
    refused(alice, alice.arguments(), refusals.GroupRefused)
    here.agree(alice, bob)


def test_a_proposal_or_a_sealed_commit_is_no_commit(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    assert alice.group is not None
    sent = alice.committing()
    proposal, _ = alice.group.propose(Remove(bob.leaf), os.urandom)
    refused(alice, {**sent, "message": proposal}, refusals.GroupRefused)
    alice.pending = alice.group.commit(os.urandom, private=True)
    refused(alice, alice.arguments(), refusals.GroupRefused)


def test_a_wrong_membership_tag_is_the_members_to_see(here: Here) -> None:
    """What only members can check stands in the log, and holds the room: the docs say so."""
    alice, bob = room_of(here, "alice", "bob")
    sent = alice.committing()
    message = decode_message(sent["message"])
    assert isinstance(message, PublicMessage)
    ghost = encode_message(replace(message, membership_tag=bytes(48)))
    alice.send_commit({**sent, "message": ghost})
    with pytest.raises(Exception, match="membership tag"):
        bob.read()


def test_direct_policy_with_other_parties_is_not_this_conversations(here: Here) -> None:
    alice, bob, carol = (here.member(name) for name in ("alice", "bob", "carol"))
    alice.open(bob)
    policy = direct_policy(alice.person.id, carol.person.id)
    change = GroupContextExtensions(context_extensions(policy, here.identity.public_key))
    refused(alice, alice.committing(change), refusals.GroupRefused)
