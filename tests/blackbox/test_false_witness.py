"""What devices make of a server that lies about people, keys, trees, welcomes and rooms.

Over real connections, against a real daemon behind the proxy that lies.
"""

import os
from collections.abc import Sequence
from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from lairchat.e2ee.room import Claim, Opened
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.key_packages import messages as keys
from lairchat.features.rooms import messages as rooms
from lairchat.mls.errors import InvalidError, MalformedError
from lairchat.mls.group import Group
from lairchat.mls.objects import Add, KeyPackage
from lairchat.mls.suites import SUITES
from lairchat.trust.compose import sign_genesis
from lairchat.trust.entry import SignedEntry
from lairchat.trust.errors import (
    ForkError,
    PolicyError,
    RollbackError,
    TrustError,
    UncertifiedError,
)
from lairchat.trust.log import AccountLog
from lairchat.trust.pins import Pin, Sureness, compared
from lairchat.trust.policy import context_extensions, private_policy
from lairchat.trust.safety_number import half, safety_number
from tests.blackbox.daemon import awaited
from tests.blackbox.false_witness import (
    FalseIdentity,
    FalseInbox,
    OldKeyPackages,
    false_room,
    false_tree,
    plain_room,
    roll_back,
)
from tests.blackbox.follower import Follower
from tests.blackbox.malice import Asked, Client
from tests.blackbox.test_lies import LiesTest
from tests.features.delivery.world import Person
from tests.trust.people import Account, device

pytestmark = pytest.mark.blackbox


def impostor(name: str, by: str, one: Follower) -> Person:
    """Return somebody who has made a well-formed log for another's name."""
    server = one.member.server
    assert server is not None
    person = Person(by, 0, server)
    account = person.account
    account.genesis = sign_genesis(account.root, server, name)
    account.log = AccountLog.begin(account.genesis, server)
    account.say(device(by))
    return person


class People(LiesTest):
    """Who somebody is."""

    async def grow(self, one: Follower, number: int) -> None:
        """Certify one more device of somebody."""
        after = one.person.log.head.position
        entries = one.person.certify(number)
        await one.ask(identities.APPEND, identities.AppendEntries(after, entries))

    @awaited
    async def test_a_log_that_was_rolled_back_is_refused(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await self.grow(bob, 2)
        assert (await alice.meet("bob")).head.position == 2
        lie = await roll_back(self.malice, self.malice.client("alice"), "bob", 1, "alice")
        for what in (alice.meet("bob"), alice.learn(bob.person.id)):
            with pytest.raises(RollbackError):
                await what
        assert (await bob.meet("bob")).head.position == 2, "nobody else is lied to"
        lie.rule.end()
        assert (await alice.meet("bob")).head.position == 2

    @awaited
    async def test_entries_that_are_hidden_from_one_surface_with_the_next_message(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        assert carol.logs[bob.person.id].head.position == 1
        await self.grow(bob, 2)
        await roll_back(self.malice, self.malice.client("carol"), "bob", 1, "carol")
        await bob.say("my new device is on the way")
        for one, claim in ((alice, Claim.KNOWN), (carol, Claim.WITHHELD)):
            (opened,) = await one.follow()
            assert isinstance(opened, Opened)
            assert opened.claim is claim

    @awaited
    async def test_two_logs_of_one_account_surface_with_the_next_message(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        # Only bob's own keys can make both: a thief of theirs, hand in hand with the server.
        assert bob.member.server is not None
        mine, other = bob.person.account, Account("bob", bob.member.server)
        other.genesis, other.log, other.entries = mine.genesis, mine.log, list(mine.entries)
        other.say(device("bob", 3))
        await self.grow(bob, 2)
        FalseIdentity(self.malice, "bob", other.genesis, other.entries, "carol")
        await carol.learn(bob.person.id)
        await bob.say("this is the real me")
        for one, claim in ((alice, Claim.KNOWN), (carol, Claim.FORKED)):
            (opened,) = await one.follow()
            assert isinstance(opened, Opened)
            assert opened.claim is claim
        FalseIdentity(self.malice, "bob", other.genesis, other.entries, "alice")
        with pytest.raises(ForkError):
            await alice.learn(bob.person.id)

    @awaited
    async def test_another_root_never_replaces_the_one_that_is_pinned(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        log = await alice.meet("bob")
        alice.pins["bob"] = compared(alice.pins["bob"], log.account)
        fake = impostor("bob", "mallory", alice)
        account = fake.account
        FalseIdentity(self.malice, "bob", account.genesis, account.entries, "alice")
        assert (await alice.meet("bob")).account == fake.id, "it is shown, and well-formed"
        assert alice.pins["bob"] == Pin("bob", bob.person.id, Sureness.COMPARED, fake.id)
        await alice.found()
        with pytest.raises(PolicyError, match="another identity"):
            await alice.add("bob")

    @awaited
    async def test_a_root_that_was_swapped_at_first_sight_shows_when_people_compare(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        fake = impostor("bob", "mallory", alice)
        account = fake.account
        FalseIdentity(self.malice, "bob", account.genesis, account.entries, "alice")
        await alice.meet("bob")
        pin = alice.pins["bob"]
        assert (pin.account, pin.verified) == (fake.id, False)
        await bob.meet("alice")
        mine, theirs = half(alice.person.id), half(pin.account)
        assert safety_number(mine, theirs) != safety_number(half(bob.person.id), mine)

    @awaited
    async def test_a_log_that_was_changed_or_is_somebody_elses_is_refused(self) -> None:
        alice, bob, carol = await self.followers("alice", "bob", "carol")
        entries: list[Sequence[SignedEntry]] = [
            [changed(bob.person.account.entries[0], signature=bytes(64))],
            carol.person.account.entries,
        ]
        for wrong in entries:
            lie = FalseIdentity(self.malice, "bob", bob.person.account.genesis, wrong, "alice")
            with pytest.raises(TrustError):
                await alice.meet("bob")
            lie.rule.end()
        other = carol.person.account
        FalseIdentity(self.malice, "bob", other.genesis, other.entries, "alice")
        with pytest.raises(TrustError, match="name"):
            await alice.meet("bob")
        assert "bob" not in alice.pins


class Keys(LiesTest):
    """What somebody is added by."""

    @awaited
    async def test_a_key_package_that_is_given_again_opens_nothing(self) -> None:
        OldKeyPackages(self.malice)
        alice, bob = await self.talk("alice", "bob")
        await bob.bring()
        again, back = self.other(alice), self.other(bob)
        await again.found()
        await again.invite(back)
        page = await bob.ask(inbox.READ, inbox.ReadInbox())
        assert [entry.kind for entry in page.entries] == ["welcome"]
        with pytest.raises(InvalidError, match="no key package"):
            await back.come_in(again.id)
        left = await bob.ask(keys.COUNT, keys.CountKeys())
        assert left.one_time == 1, "the new one has not been given"

    def other(self, one: Follower) -> Follower:
        """Return the same device in another room."""
        found = Follower(one.member, one.person, one.server_key)
        found.packages = one.packages
        return found

    @awaited
    async def test_the_last_resort_works_and_that_it_was_not_needed_shows(self) -> None:
        OldKeyPackages(self.malice, last_resort=True)
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        await bob.bring(last_resort=True)
        await alice.found()
        await alice.invite(bob)
        await bob.come_in(alice.id)
        await alice.say("hello")
        await bob.follow()
        assert bob.texts == ["hello"]
        # What a device can know by itself: this welcome was for its last resort, and one-time
        # packages that it had brought before were still there.
        left = await bob.ask(keys.COUNT, keys.CountKeys())
        assert (left.one_time, len(bob.packages)) == (1, 2)

    @awaited
    async def test_a_package_of_the_servers_making_is_not_added(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        await alice.found()
        classical = SUITES[0x0001]
        wrong: dict[KeyPackage, type[Exception]] = {
            bob.person.package(signing_key=os.urandom(32)).package: UncertifiedError,
            bob.person.package(suite=classical).package: InvalidError,
            alice.person.package().package: PolicyError,
            changed(bob.packages[0].package, init_key=bytes(1216)): InvalidError,
        }
        for package, error in wrong.items():
            served = package.encode()

            def swap(
                _client: Client, _asked: Asked, reply: keys.ClaimedKeys, served: bytes = served
            ) -> keys.ClaimedKeys:
                return replace(reply, keys=[replace(one, package=served) for one in reply.keys])

            await bob.bring()
            rule = self.malice.on_reply(keys.CLAIM, swap, "alice")
            with pytest.raises(error):
                await alice.add("bob")
            rule.end()
        assert len(alice.state.members) == 1


class Welcomes(LiesTest):
    """What one is welcomed into."""

    @awaited
    async def test_a_lying_tree_beside_a_welcome_is_refused(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        for _ in range(2):
            await bob.bring()
        await alice.found()
        await alice.invite(bob)
        true = alice.group.public.tree.encode()
        elsewhere = Group.create(
            alice.person.package(), os.urandom(16), alice.group.context.extensions, os.urandom
        )
        ghost = elsewhere.commit(os.urandom, proposals=[Add(bob.packages[0].package)]).group
        flipped = bytearray(true)
        flipped[-100] ^= 1
        lies = {
            true[:-1]: MalformedError,
            bytes(flipped): InvalidError,
            ghost.public.tree.encode(): InvalidError,
        }
        for tree, error in lies.items():
            rule = false_tree(self.malice, alice.id, tree, "bob")
            with pytest.raises(error):
                await bob.come_in(alice.id)
            assert bob.room is None
            rule.end()
        await bob.come_in(alice.id)
        assert bob.group.authenticator == alice.group.authenticator

    def fake(self, package: KeyPackage, founder: Person, signing_key: bytes | None) -> Group:
        """Return a room of the server's making into which a package is added."""
        policy = private_policy([founder.id])
        extensions = context_extensions(policy, self.malice.identity.public_key)
        own = founder.package(signing_key=signing_key)
        group = Group.create(own, os.urandom(16), extensions, os.urandom)
        added = group.commit(os.urandom, proposals=[Add(package)])
        assert added.welcome is not None
        self.welcome = added.welcome
        return added.group

    @awaited
    async def test_a_fake_room_in_somebodys_name_is_refused(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        group = self.fake(bob.packages[0].package, alice.person, os.urandom(32))
        room = 4_000
        false_room(self.malice, room, group.public, "bob")
        await FalseInbox(self.malice, "bob").put(
            "welcome", self.welcome, alice.person.id, self.device(alice)
        )
        with pytest.raises(UncertifiedError):
            await bob.come_in(room)
        assert bob.room is None

    @awaited
    async def test_a_fake_room_of_a_stranger_has_only_that_stranger_in_it(self) -> None:
        """A server can always make accounts of its own: whom one talks to is what pins are for."""
        alice, bob, mallory = await self.followers("alice", "bob", "mallory")
        await bob.bring()
        await bob.meet("alice")
        group = self.fake(bob.packages[0].package, mallory.person, None)
        room = 4_000
        false_room(self.malice, room, group.public, "bob")
        await FalseInbox(self.malice, "bob").put(
            "welcome", self.welcome, alice.person.id, self.device(alice)
        )
        await bob.come_in(room)
        inside = {member.account for member in bob.state.members}
        assert inside == {bob.person.id, mallory.person.id}
        assert alice.person.id not in inside

    @awaited
    async def test_an_inbox_with_forged_entries_keeps_its_order_and_its_numbers(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        lie = FalseInbox(self.malice, "bob")
        first = await lie.put("welcome", b"no welcome at all")
        second = await lie.put("verify", b"nor this a note", alice.person.id)
        await alice.found()
        await alice.invite(bob)
        last = await lie.put("welcome", b"")
        page = await bob.ask(inbox.READ, inbox.ReadInbox())
        told = [(entry.seq, entry.kind) for entry in page.entries]
        assert told == [(1, "welcome"), (2, "verify"), (3, "welcome"), (4, "welcome")]
        assert (first, second, last, page.head) == (1, 2, 4, 4)
        with pytest.raises(MalformedError):
            await bob.welcomed(page.entries[0].body)
        bob.id = alice.id
        await bob.welcomed(page.entries[2].body)
        page = await bob.ask(inbox.READ, inbox.ReadInbox(after=1, limit=1))
        assert ([entry.seq for entry in page.entries], page.more) == ([2], True)
        await bob.ask(inbox.ACK, inbox.AckInbox(3))
        page = await bob.ask(inbox.READ, inbox.ReadInbox())
        assert [entry.seq for entry in page.entries] == [4]
        await bob.ask(inbox.ACK, inbox.AckInbox(4))
        page = await bob.ask(inbox.READ, inbox.ReadInbox())
        assert (page.entries, page.head) == ([], 4)


class Labels(LiesTest):
    """What the server says of a room."""

    @awaited
    async def test_an_encrypted_room_is_called_plain_to_one(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        await alice.found()
        lies = plain_room(self.malice, alice.id, "bob")
        joined: list[rooms.RoomJoined] = []
        self.malice.on_event(rooms.ROOM_JOINED.name, lambda _, body: joined.append(body), "bob")
        await alice.invite(bob)
        await bob.come_in(alice.id)
        assert [body.room.crypto for body in joined if body.room.room == alice.id] == ["plain"]
        for one, crypto in ((alice, "mls"), (bob, "plain")):
            assert await self.crypto(one, alice.id) == crypto
        for lie in lies:
            lie.end()
        assert await self.crypto(bob, alice.id) == "mls"

    async def crypto(self, one: Follower, room: int) -> str:
        mine = await one.ask(rooms.MINE, rooms.MyRooms())
        (crypto,) = [info.crypto for info in mine.rooms if info.room == room]
        return str(crypto)
