"""The server removes nobody: it proposes, within its limits, and holds commits to what it proposed."""

import pytest

from lairchat.features.accounts import tables as accounts
from lairchat.features.bans.messages import ADD_BAN, REMOVE_BAN
from lairchat.features.delivery import messages
from lairchat.features.identities.messages import APPEND
from lairchat.features.messages.messages import HISTORY
from lairchat.features.rooms.messages import MEMBERS, MINE
from lairchat.mls.objects import GroupContextExtensions, Remove
from lairchat.model import refusals
from lairchat.model.roles import ServerRole
from lairchat.trust.policy import context_extensions, encode_reasons, private_policy
from lairchat.wire.objects import Ok
from tests.features.delivery.test_commits import refused, room_of
from tests.features.delivery.world import Here, Member
from tests.trust.rooms import NO_REASON


def operator(here: Here) -> Member:
    """Return an owner of the server."""
    found = here.member("olga")
    session = found.client.peer.session
    assert session is not None
    here.server.change(lambda c: accounts.set_role(c, session.user, ServerRole.OWNER))
    session.role = ServerRole.OWNER
    return found


def removals(member: Member) -> int:
    state = member.ask(messages.STATE, room=member.room)
    found: int = state.removals
    return found


def take_up(member: Member) -> None:
    """Commit all that waits."""
    member.read()
    member.commit()


def test_a_revoked_device_is_proposed_for_removal_wherever_it_is(here: Here) -> None:
    alice = here.member("alice")
    bob, lost = here.member("bob", devices=2), here.member("bob", 2)
    first = alice.create()
    alice.add(bob, lost)
    group, seq = alice.group, alice.seq
    alice.create()
    second = alice.room
    lost.group = None
    alice.add(lost)
    alice.client.forget()
    here.append(bob, bob.person.revoke(2), 2)
    assert lost.client.closed
    told = [one for one in alice.client.events("message") if one.kind == "proposal"]
    assert [(one.room, one.user, one.name) for one in told] == [(first, 0, ""), (second, 0, "")]
    assert removals(alice) == 1
    take_up(alice)
    assert alice.ask(messages.STATE, room=second).devices == 1
    alice.room, alice.group, alice.seq = first, group, seq
    take_up(alice)
    here.agree(alice, bob)
    assert alice.ask(messages.STATE, room=first).devices == 2
    assert removals(alice) == 0


def test_a_members_commit_without_the_pending_removals_is_refused(here: Here) -> None:
    alice = here.member("alice")
    bob, _ = here.member("bob", devices=2), here.member("bob", 2)
    alice.create()
    alice.add(bob)
    lost = here.member("bob", 2)
    alice.add(lost)
    bob.read()
    early = alice.committing()  # before it is known
    here.append(bob, bob.person.revoke(2), 2)
    refused(alice, early, refusals.GroupRemoves)
    alice.read()
    refused(alice, alice.committing(references=[]), refusals.GroupRemoves)
    alice.commit()
    here.agree(alice, bob)


def test_a_removal_of_ones_own_serves_as_well(here: Here) -> None:
    """What counts is that the leaf goes, not whose proposal it was."""
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    carol.ask(messages.LEAVE, room=carol.room)
    sent = alice.committing(Remove(carol.leaf), said=encode_reasons(NO_REASON), references=[])
    alice.send_commit(sent)
    here.agree(alice, bob)
    assert removals(alice) == 0


def test_whoever_leaves_is_removed_by_the_next_commit_and_says_nothing_more(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    carol.ask(messages.LEAVE, room=carol.room)
    with pytest.raises(refusals.GroupRefused):
        carol.say(b"one more thing")
    carol.ask(messages.LEAVE, room=carol.room)  # again is harmless
    assert removals(alice) == 1
    carol.read()
    refused(carol, carol.committing(), refusals.GroupRemoves)
    carol.client.forget()
    take_up(bob)
    here.agree(alice, bob)
    (left,) = carol.client.events("room.left")
    assert left.code == "LC-LEFT"
    assert alice.ask(MEMBERS, room=alice.room).total == 2


def test_nobody_says_the_servers_words_again(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    carol.ask(messages.LEAVE, room=carol.room)
    (event,) = [one for one in bob.read() if one.kind == "proposal"]
    for member in (alice, bob):
        with pytest.raises(refusals.GroupRefused):
            member.propose(event.body)


def test_all_devices_of_whoever_leaves_go(here: Here) -> None:
    alice = here.member("alice")
    bob, laptop = here.member("bob", devices=2), here.member("bob", 2)
    alice.create()
    alice.add(bob, laptop)
    bob.ask(messages.LEAVE, room=bob.room)
    assert removals(alice) == 2
    take_up(alice)
    assert alice.ask(messages.STATE, room=alice.room).devices == 1


def test_whoever_leaves_does_not_come_back_by_a_device(here: Here) -> None:
    """Neither by the one that asked for it, nor by one that is new."""
    alice, bob = room_of(here, "alice", "bob")
    here.append(bob, bob.person.certify(2), 1)
    laptop = here.member("bob", 2)
    laptop.room = bob.room
    bob.ask(messages.LEAVE, room=bob.room)
    for device, old in ((bob, bob.leaf), (laptop, None)):
        refused(device, device.rejoin(remove=old), refusals.NotMember)
    take_up(alice)
    assert alice.ask(messages.STATE, room=alice.room).devices == 1
    assert alice.ask(MEMBERS, room=alice.room).total == 1


def test_whoever_has_revoked_a_device_comes_in_by_another(here: Here) -> None:
    alice = here.member("alice")
    bob, lost = here.member("bob", devices=2), here.member("bob", 2)
    alice.create()
    alice.add(bob, lost)
    here.append(bob, bob.person.revoke(2), 2)
    bob.read()
    reply = bob.send_commit(bob.rejoin(remove=bob.leaf))
    bob.won()
    bob.seq = reply.seq
    take_up(alice)
    assert alice.ask(messages.STATE, room=alice.room).devices == 2


def test_the_last_administrator_hands_over_first(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    with pytest.raises(refusals.LastAdministrator):
        alice.ask(messages.LEAVE, room=alice.room)
    policy = private_policy([alice.person.id, bob.person.id])
    alice.commit(GroupContextExtensions(context_extensions(policy, here.identity.public_key)))
    bob.read()
    alice.ask(messages.LEAVE, room=alice.room)
    # Now it is Bob who is needed.
    carol = here.member("carol")
    bob.read()
    sent = bob.committing(*bob.adding(carol))
    bob.send_commit(sent)
    bob.read()
    carol.room = bob.room
    carol.group = None
    with pytest.raises(refusals.LastAdministrator):
        bob.ask(messages.LEAVE, room=bob.room)


def test_whoever_is_alone_is_out_at_once(here: Here) -> None:
    alice = here.member("alice")
    alice.create()
    alice.client.forget()
    alice.ask(messages.LEAVE, room=alice.room)
    assert alice.room not in [room.room for room in alice.ask(MINE).rooms]
    with pytest.raises(refusals.RoomUnknown):
        alice.ask(HISTORY, room=alice.room)


def test_when_all_want_out_the_last_is_out_at_once(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    bob.ask(messages.LEAVE, room=bob.room)
    alice.ask(messages.LEAVE, room=alice.room)
    bob.ask(messages.LEAVE, room=bob.room)
    for member in (alice, bob):
        assert member.room not in [room.room for room in member.ask(MINE).rooms]


def test_nobody_leaves_a_direct_conversation(here: Here) -> None:
    alice, bob = (here.member(name) for name in ("alice", "bob"))
    alice.open(bob)
    alice.add(bob)
    with pytest.raises(refusals.RoomDirect):
        bob.ask(messages.LEAVE, room=bob.room)


def test_a_ban_for_good_removes_and_one_for_a_while_does_not(here: Here) -> None:
    olga = operator(here)
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    olga.ask(ADD_BAN, kind="user", target="bob", period=3600)
    assert removals(alice) == 0
    olga.ask(ADD_BAN, kind="user", target="carol")
    assert removals(alice) == 1
    take_up(alice)
    assert alice.ask(messages.STATE, room=alice.room).devices == 2
    assert bob.leaf != carol.leaf


def test_a_ban_that_is_lifted_in_time_removes_nobody(here: Here) -> None:
    olga = operator(here)
    alice, bob = room_of(here, "alice", "bob")
    olga.ask(ADD_BAN, kind="user", target="bob")
    assert removals(alice) == 1
    olga.ask(REMOVE_BAN, kind="user", target="bob")
    assert removals(alice) == 0
    alice.read()
    alice.send_commit(alice.committing(references=[]))
    assert bob.group is not None


def test_the_server_proposes_nobody_in_a_direct_conversation_but_revoked_devices(
    here: Here,
) -> None:
    olga = operator(here)
    alice, bob = here.member("alice"), here.member("bob", devices=2)
    laptop = here.member("bob", 2)
    alice.open(bob)
    alice.add(bob, laptop)
    olga.ask(ADD_BAN, kind="user", target="alice")
    assert removals(bob) == 0
    here.append(bob, bob.person.revoke(2), 2)
    assert removals(bob) == 1
    take_up(bob)
    assert bob.ask(messages.STATE, room=bob.room).devices == 2


def test_the_server_proposes_no_last_administrator_until_there_is_another(here: Here) -> None:
    olga = operator(here)
    alice, bob = room_of(here, "alice", "bob")
    laptop_log = alice.person.certify(2)
    here.append(alice, laptop_log, 1)
    olga.ask(ADD_BAN, kind="user", target="alice")
    assert removals(bob) == 0
    bob.read()
    bob.commit()  # it is not held up
    assert removals(bob) == 0


def test_two_banned_administrators_are_not_both_proposed(here: Here) -> None:
    """No commit may take both, so a server that asked for it would halt the room."""
    olga = operator(here)
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    policy = private_policy([alice.person.id, bob.person.id])
    alice.commit(GroupContextExtensions(context_extensions(policy, here.identity.public_key)))
    for name in ("alice", "bob"):
        olga.ask(ADD_BAN, kind="user", target=name)
    assert removals(carol) == 0
    carol.read()
    carol.send_commit(carol.committing(references=[]))


def test_removals_are_proposed_again_in_each_epoch(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    here.append(bob, bob.person.certify(2), 1)
    laptop = here.member("bob", 2)
    laptop.room = bob.room
    carol.ask(messages.LEAVE, room=carol.room)
    # A device that comes in by itself can take up nothing; what waits is proposed again.
    reply = laptop.send_commit(laptop.rejoin())
    laptop.won()
    laptop.seq = reply.seq
    events = alice.ask(HISTORY, room=alice.room, after=reply.seq).events
    assert [(event.kind, event.user) for event in events] == [("proposal", 0)]
    assert removals(alice) == 1
    here.agree(alice, bob, laptop)
    refused(alice, alice.committing(references=[]), refusals.GroupRemoves)
    laptop.commit()
    here.agree(alice, bob, laptop)
    assert removals(alice) == 0


def test_removals_are_not_starved_by_devices_that_come_in_again_and_again(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    carol.ask(messages.LEAVE, room=carol.room)
    old = bob.leaf
    reply = bob.send_commit(bob.rejoin(remove=old))
    bob.won()
    bob.seq = reply.seq
    refused(bob, bob.rejoin(remove=bob.leaf), refusals.GroupRemoves)
    bob.pending = None
    take_up(alice)
    bob.read()
    assert removals(alice) == 0
    # Once they are gone it may again.
    reply = bob.send_commit(bob.rejoin(remove=bob.leaf))
    bob.won()
    bob.seq = reply.seq
    here.agree(alice, bob)


def test_a_device_revoked_while_its_commit_is_judged_changes_nothing(here: Here) -> None:
    alice = here.member("alice")
    bob, lost = here.member("bob", devices=2), here.member("bob", 2)
    alice.create()
    alice.add(bob, lost)
    sent = lost.committing()
    entries = bob.person.revoke(2)
    given = bob.client.give(APPEND, after=2, entries=entries)
    request = lost.give_commit(sent)
    here.server.settle()
    bob.client.answer(given)
    here.logs[bob.person.id] = bob.person.log
    assert lost.client.closed
    assert request not in [one.id for one in lost.client.frames if isinstance(one, Ok)]
    assert (alice.ask(messages.STATE, room=alice.room).epoch, removals(alice)) == (1, 1)
    take_up(alice)
    here.agree(alice, bob)


def test_a_revocation_overtakes_a_leave_and_the_last_administrators_device_goes(
    here: Here,
) -> None:
    alice, bob = room_of(here, "alice", "bob")
    here.append(alice, alice.person.certify(2), 1)
    second = here.member("alice", 2)
    here.append(second, alice.person.revoke(1), 2)
    assert alice.client.closed
    assert removals(bob) == 1
    take_up(bob)
    assert bob.ask(messages.STATE, room=bob.room).devices == 1
