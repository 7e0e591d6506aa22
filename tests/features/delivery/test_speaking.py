"""What is passed on and not kept, and messages that are deleted: by whom, and what of them stays."""

from typing import Any

import pytest

from lairchat.features.delivery.messages import EPHEMERAL, LEAVE, TOMBSTONE
from lairchat.features.identities.messages import PUBLISH
from lairchat.features.messages.messages import HISTORY, SEND
from lairchat.features.rooms import tables as rooms
from lairchat.features.rooms.messages import CREATE, DIRECT
from lairchat.mls.objects import GroupContextExtensions, Remove
from lairchat.model import limits, refusals
from lairchat.model.roles import RoomRole
from lairchat.storage import log
from lairchat.trust.compose import sign_genesis
from lairchat.trust.log import AccountLog, encode_log
from lairchat.trust.policy import Policy, context_extensions, encode_reasons, private_policy
from lairchat.wire.errors import ProtocolError
from tests.features.common import text
from tests.features.delivery.test_commits import kept, room_of
from tests.features.delivery.world import Here, Member, Person
from tests.harness import Client
from tests.trust.people import SERVER, Account, device, root
from tests.trust.rooms import NO_REASON


class Anew(Person):
    """A user who has lost the recovery words, and begins another account."""

    def __init__(self, name: str) -> None:
        self.account = Account(name)
        self.name = f"{name} again"
        self.account.root = root(self.name)
        self.account.genesis = sign_genesis(self.account.root, SERVER, name)
        self.account.log = AccountLog.begin(self.account.genesis, SERVER)
        self.account.say(device(self.name))


def appointed(here: Here, *names: str, **policy: Any) -> list[Member]:
    """Return people in a room of the first, who has given out roles."""
    found = room_of(here, *names)
    by_name = {one.person.name: one.person.id for one in found}
    give(
        found[0], private_policy(**{role: [by_name[n] for n in ns] for role, ns in policy.items()})
    )
    for one in found[1:]:
        one.read()
    return found


def give(member: Member, policy: Policy) -> None:
    """Change a room's policy."""
    member.commit(GroupContextExtensions(context_extensions(policy, member.server_key)))


def delete(member: Member, seq: int, key: bytes | None = None) -> Any:
    key = key or member.client.new_key()
    member.keys.add(key)
    return member.client.ask(TOMBSTONE, key, room=member.room, seq=seq)


def bodies(member: Member) -> dict[int, tuple[str, bytes]]:
    events = member.ask(HISTORY, room=member.room, after=0, limit=100).events
    return {event.seq: (event.kind, event.body) for event in events}


# -- what is passed on


def test_it_reaches_all_who_are_connected_but_its_sender_and_is_not_kept(here: Here) -> None:
    alice, bob, carol = room_of(here, "alice", "bob", "carol")
    other = Client(here.server)
    other.login("alice")
    outside = here.member("dave")
    clients = [alice.client, other, bob.client, carol.client, outside.client]
    for client in clients:
        client.forget()
    before = kept(here)
    alice.ask(EPHEMERAL, room=alice.room, body=b"sealed typing")
    heard = [client.events("ephemeral") for client in clients]
    assert [len(one) for one in heard] == [0, 1, 1, 1, 0]
    user = alice.client.session
    assert user is not None
    assert {(one.room, one.user, one.body) for (one,) in heard[1:4]} == {
        (alice.room, user.user, b"sealed typing")
    }
    assert kept(here) == before
    dump = here.server.look(
        lambda connection: b"".join(
            line.encode("utf-8", "surrogateescape")
            for line in connection.connection.driver_connection.iterdump()
        )
    )
    assert b"typing" not in dump
    assert b"typing".hex().upper().encode() not in dump


def test_it_is_bounded_in_size_and_rate(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    for body in (b"", bytes(limits.EPHEMERAL_BYTES + 1)):
        with pytest.raises((ProtocolError, refusals.Refusal)):
            alice.ask(EPHEMERAL, room=alice.room, body=body)
    for _ in range(limits.EPHEMERAL_BURST):
        alice.ask(EPHEMERAL, room=alice.room, body=bytes(limits.EPHEMERAL_BYTES))
    with pytest.raises(refusals.RateLimited):
        alice.ask(EPHEMERAL, room=alice.room, body=b"x")
    bob.ask(EPHEMERAL, room=bob.room, body=b"x")  # another device's allowance is its own
    here.server.wait(1 / limits.EPHEMERAL_PER_SECOND)
    alice.ask(EPHEMERAL, room=alice.room, body=b"x")


@pytest.mark.parametrize("command", [EPHEMERAL, TOMBSTONE])
def test_only_a_device_in_the_group_speaks(here: Here, command: Any) -> None:
    alice, bob = room_of(here, "alice", "bob")
    said = {"body": b"x"} if command is EPHEMERAL else {"seq": bob.say(b"mine").seq}

    def refused(member: Any, kind: type[refusals.Refusal], room: int) -> None:
        before = kept(here)
        with pytest.raises(kind):
            member.ask(command, room=room, **said)
        assert kept(here) == before

    stranger = Client(here.server)
    stranger.login("bob")
    refused(stranger, refusals.DeviceUnproven, bob.room)
    here.append(bob, bob.person.certify(2), 1)
    refused(here.member("bob", 2), refusals.GroupRefused, bob.room)
    carol = here.member("carol")
    refused(carol, refusals.RoomUnknown, bob.room)
    plain = bob.ask(CREATE, name="ops").room
    refused(bob, refusals.RoomPlain, plain)
    refused(bob, refusals.GroupMissing, bob.ask(DIRECT, name="carol", crypto="mls").room)
    bob.ask(LEAVE, room=bob.room)
    refused(bob, refusals.GroupRefused, bob.room)
    alice.read()


# -- what is deleted


def test_a_deleted_message_keeps_its_place_and_the_log_says_so(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent = bob.say(b"regretted")
    alice.read()
    alice.client.forget()
    before = bodies(alice)
    hinted = delete(bob, sent.seq)
    (event,) = alice.client.events("message")
    assert (event.seq, event.kind, event.name) == (hinted.seq, "hint", "bob")
    assert event.body == sent.seq.to_bytes(8, "big")
    after = bodies(alice)
    assert after.pop(hinted.seq) == ("hint", event.body)
    assert after.pop(sent.seq) == ("tombstone", b"")
    assert after == {seq: one for seq, one in before.items() if seq != sent.seq}
    verified = here.server.look(lambda connection: log.verify(connection, alice.room))
    assert verified is None
    (gone,) = alice.ask(HISTORY, room=alice.room, after=sent.seq - 1, limit=1).events
    assert (gone.was, len(gone.digest)) == ("app", 32)


def test_a_repeat_is_answered_the_same_and_a_second_deletion_refused(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent, key = bob.say(b"regretted"), bob.client.new_key()
    assert delete(bob, sent.seq, key) == delete(bob, sent.seq, key)
    for seq in (0, 1, alice.seq, sent.seq, sent.seq + 1, sent.seq + 9):
        with pytest.raises(refusals.MessageGone):
            delete(bob, seq)


def test_of_others_only_moderators_delete_and_only_of_those_below(here: Here) -> None:
    people = appointed(
        here,
        *("alice", "bob", "carol", "dave", "erin"),
        administrators=["alice"],
        moderators=["bob", "carol"],
    )
    alice, bob, carol, dave, erin = people
    said = {one: one.say(one.person.name.encode()).seq for one in people}
    for by, of in ((dave, erin), (dave, bob), (bob, carol), (bob, alice), (carol, alice)):
        with pytest.raises(refusals.Denied):
            delete(by, said[of])
    for by, of in ((bob, dave), (alice, carol), (alice, alice), (erin, erin), (bob, bob)):
        delete(by, said[of])
    # As the policy is now, whoever was something when it was said.
    of_carol, of_bob = carol.say(b"again").seq, bob.say(b"again").seq
    alice.read()
    give(alice, private_policy([alice.person.id], [carol.person.id]))
    with pytest.raises(refusals.Denied):
        delete(bob, of_carol)
    delete(carol, of_bob)


def test_the_roles_of_the_rooms_table_count_for_nothing(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent = alice.say(b"mine")
    session = bob.client.session
    assert session is not None
    here.server.change(
        lambda connection: rooms.set_role(connection, bob.room, session.user, RoomRole.OWNER)
    )
    with pytest.raises(refusals.Denied):
        delete(bob, sent.seq)


def test_of_who_is_gone_moderators_delete_and_in_conversations_nobody(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent = bob.say(b"left behind")
    alice.read()
    alice.commit(Remove(bob.leaf), said=encode_reasons(NO_REASON))
    delete(alice, sent.seq)
    alice.open(bob)
    alice.add(bob)
    sent = bob.say(b"between us")
    with pytest.raises(refusals.Denied):
        delete(alice, sent.seq)
    delete(bob, sent.seq)


def test_a_new_account_of_the_same_user_deletes_nothing_of_the_old_one(here: Here) -> None:
    alice, bob = room_of(here, "alice", "bob")
    sent = bob.say(b"by the old words")
    alice.read()
    here.server.wait(limits.LOG_BEGIN_SECONDS)
    again = Anew("bob")
    bob.ask(PUBLISH, log=encode_log(again.account.genesis, again.account.entries))
    here.logs[again.id] = again.log
    new = Member(here, bob.client, again)
    new.prove()
    new.room = bob.room
    alice.add(new)
    with pytest.raises(refusals.Denied):
        delete(new, sent.seq)
    delete(alice, sent.seq)


def test_in_plain_rooms_there_are_no_hints(here: Here) -> None:
    alice, _ = room_of(here, "alice", "bob")
    plain = alice.ask(CREATE, name="ops").room
    sent = alice.ask(SEND, room=plain, body=text("in clear"))
    with pytest.raises(refusals.RoomPlain):
        alice.ask(TOMBSTONE, room=plain, seq=sent.seq)
