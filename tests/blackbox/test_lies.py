"""What devices make of a server that lies about what is said in a room.

Over real connections, against a real daemon behind the proxy that lies.
"""

import os
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from lairchat.client import catalog
from lairchat.demo_check import wall_clock
from lairchat.e2ee.following import Forked, Impossible, Repeated, Withheld
from lairchat.e2ee.payload import Text
from lairchat.e2ee.room import (
    Happening,
    Opened,
    Own,
    Passed,
    Unreadable,
)
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.model.refusals import EpochStale
from tests.blackbox.daemon import awaited
from tests.blackbox.follower import Follower
from tests.blackbox.lies import FalseLog, drop, flip, flipped, swap, without
from tests.blackbox.test_malice import MaliceTest

pytestmark = pytest.mark.blackbox


class LiesTest(MaliceTest):
    """Devices that keep their rooms as clients do, behind the proxy."""

    async def followers(self, *names: str) -> list[Follower]:
        """Return a device of each, who has met nobody yet."""
        key = self.malice.identity.public_key
        peers = await self.people(*names)
        return [Follower(peer.member, peer.person, key) for peer in peers]

    async def talk(self, *names: str) -> list[Follower]:
        """Return devices in a private room that the first has founded."""
        first, *others = found = await self.followers(*names)
        await first.found()
        for one in others:
            await one.bring()
        await first.invite(*others)
        for one in others:
            await one.come_in(first.id)
        return found

    def device(self, one: Follower) -> bytes:
        return one.person.identity(one.number).device


def kinds(happened: Sequence[Happening]) -> list[type]:
    return [type(found) for found in happened]


def forged(kind: str, body: bytes) -> wire.LogEvent:
    """Return an event that nobody has sent."""
    return wire.LogEvent(0, 0, wall_clock(), 0, "", 0, kind, os.urandom(16), body)


class Messages(LiesTest):
    """What is said."""

    @awaited
    async def test_a_flipped_bit_reads_as_nothing_and_the_original_still_opens(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob", retell=flip(1))
        await alice.say("whole")
        assert kinds(await bob.follow()) == [Unreadable, Opened]
        for place in (0, 3, 30, 60, -70):
            event = forged("app", alice.seal(f"whole at {place}"))
            lie.insert(flipped(event, place))
            lie.insert(event)
            assert kinds(await bob.follow()) == [Unreadable, Opened], place
        assert len(bob.texts) == 6

    @awaited
    async def test_a_replay_is_not_read_again(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await alice.say("pay ten to carol")
        await bob.follow()
        lie.insert(lie.events[-1])
        lie.insert(replace(lie.events[-1], id=os.urandom(16), name="carol", user=99))
        assert kinds(await bob.follow()) == [Unreadable, Unreadable]
        assert bob.texts == ["pay ten to carol"]

    @awaited
    async def test_the_order_of_one_sender_is_noticed(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        FalseLog(self.malice, alice.id, "bob", retell=swap(1))
        await alice.say("no")
        await alice.say("shall we?")
        assert kinds(await bob.follow()) == [Opened, Opened]
        device = self.device(alice)
        # (The first of a device is where the count begins for somebody who came in after others.)
        assert bob.findings == [Repeated(device, 1)]

    @awaited
    async def test_what_is_said_elsewhere_is_not_read_here(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        await carol.bring()
        other = Follower(alice.member, alice.person, alice.server_key)
        await other.found()
        await other.invite(carol)
        elsewhere = Follower(carol.member, carol.person, carol.server_key)
        elsewhere.packages = carol.packages
        await elsewhere.come_in(other.id)
        lie = FalseLog(self.malice, alice.id, "bob")
        real = FalseLog(self.malice, other.id, "carol")
        await other.say("yes")
        await elsewhere.follow()
        assert elsewhere.texts == ["yes"]
        await bob.follow()
        lie.insert(real.events[-1])
        assert kinds(await bob.follow()) == [Unreadable]
        assert bob.texts == []

    @awaited
    async def test_nothing_in_clear_is_shown(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        sealed = alice.seal("real")
        inside = catalog.encode_text("from the server")
        bodies = (inside, b"from the server", b"", bytes(300), sealed[:-1], sealed + b"x")
        for body in bodies:
            lie.insert(forged("app", body))
        assert kinds(await bob.follow()) == [Unreadable] * len(bodies)
        lie.insert(forged("app", sealed))
        assert kinds(await bob.follow()) == [Opened]
        assert bob.texts == ["real"]

    @awaited
    async def test_a_class_that_is_not_that_of_its_event_says_nothing(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        sealed = alice.seal("real")
        for kind, seen in (("commit", Unreadable), ("proposal", Unreadable), ("state", Passed)):
            lie.insert(forged(kind, sealed))
            assert kinds(await bob.follow()) == [seen]
        assert bob.state.halted is None

    @awaited
    async def test_what_is_dropped_is_noticed_with_the_next_message(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        FalseLog(self.malice, alice.id, "bob", retell=drop(2))
        for words in ("one", "two", "three"):
            await alice.say(words)
        await bob.follow()
        assert bob.texts == ["one", "three"]
        assert bob.findings == [Withheld(self.device(alice), 2, 2)]

    @awaited
    async def test_what_is_withheld_from_one_is_noticed_when_others_have_read_it(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        lie = FalseLog(self.malice, alice.id, "bob", retell=drop(1))
        await alice.say("not for bob")
        await carol.follow()
        await carol.say("so it is")
        await bob.follow()
        # Carol has seen more of the log than there is for bob.
        assert bob.findings == [Impossible(lie.events[-1].seq)]

    @awaited
    async def test_what_comes_late_and_whole_is_no_finding(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        lie.hold()
        await alice.say("one")
        await alice.say("two")
        assert await bob.follow() == []
        await lie.release()
        await bob.follow()
        assert (bob.texts, bob.findings) == (["one", "two"], [])

    @awaited
    async def test_two_logs_are_noticed_as_soon_as_either_hears_the_other(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        for one, other in ((bob, "carol"), (carol, "bob")):
            FalseLog(self.malice, alice.id, one.person.name, retell=without(other))
        for one in (bob, carol):
            await one.say(f"from {one.person.name}")
        for one in (bob, carol):
            await one.follow()
        place = bob.state.followed.seq
        assert place == carol.state.followed.seq
        await alice.follow()
        # So far nobody can know: alice has seen more than both, and says so.
        await alice.say("to both")
        for one in (bob, carol):
            await one.follow()
            assert one.findings == [Impossible(place + 1)]

    @awaited
    async def test_a_fork_of_equal_length_is_noticed_by_what_its_sender_has_seen(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        for one in (alice, bob):
            lie = FalseLog(self.malice, alice.id, one.person.name)
            await one.follow()
            lie.insert(forged("state", f"for {one.person.name}".encode()))
            await one.follow()
        place = bob.state.followed.seq
        await alice.say("hello")
        await bob.follow()
        assert (bob.texts, bob.findings) == (["hello"], [Forked(place)])

    @awaited
    async def test_a_jump_past_a_thousand_generations_is_refused_and_costs_nothing(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        group = alice.group
        for _ in range(1_026):
            last, group = group.encrypt(b"payload", os.urandom)
        before = bob.group
        lie.insert(forged("app", last))
        assert kinds(await bob.follow()) == [Unreadable]
        assert bob.group == before
        await alice.say("still heard")
        await bob.follow()
        assert bob.texts == ["still heard"]

    @awaited
    async def test_what_was_refused_and_comes_beside_its_second_seal_is_shown_once(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        number, identifier = alice.state.count + 1, os.urandom(16)
        refused = self.seal(alice, "once", identifier)
        await bob.commit()
        with pytest.raises(EpochStale):
            await self.send(alice, refused)
        await alice.follow()
        await self.send(alice, self.seal(alice, "once", identifier, number))
        await bob.follow()
        lie.insert(forged("app", refused))
        await alice.say("next")
        assert kinds(await bob.follow()) == [Passed, Opened]
        assert (bob.texts, bob.findings) == (["once", "next"], [])

    def seal(
        self, alice: Follower, words: str, identifier: bytes, again: int | None = None
    ) -> bytes:
        sealed, alice.room = alice.state.seal(
            Text(words), identifier, alice.person.log, wall_clock(), os.urandom, again=again
        )
        alice.outbox.add(sealed)
        return sealed

    async def send(self, alice: Follower, sealed: bytes) -> None:
        await alice.ask(wire.SEND, wire.Send(alice.id, sealed), alice.member.key())

    @awaited
    async def test_a_message_that_is_acknowledged_and_thrown_away_is_missed(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        await alice.say("one")
        rule = self.malice.on_request(wire.SEND, lambda *_: wire.Sent(9, 9), "alice")
        assert (await alice.say("two")).seq == 9
        rule.end()
        await alice.say("three")
        await bob.follow()
        assert (bob.texts, bob.findings) == (
            ["one", "three"],
            [Withheld(self.device(alice), 2, 2)],
        )

    @awaited
    async def test_ones_own_message_that_comes_back_is_nobodys(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "alice")
        await alice.say("one")
        assert kinds(await alice.follow()) == [Own]
        before = alice.group
        lie.insert(replace(lie.events[-1], name="bob", user=self.malice.client("bob").user))
        assert kinds(await alice.follow()) == [Unreadable]
        assert alice.group == before
        await alice.say("two")
        await bob.follow()
        assert bob.texts == ["one", "two"]

    @awaited
    async def test_a_false_beginning_told_to_a_joiner_is_noticed_with_the_first_message(
        self,
    ) -> None:
        false = bytes(32)
        self.malice.on_reply(
            delivery.BEGUN, lambda _client, _asked, reply: replace(reply, hash=false), "bob"
        )
        alice, bob = await self.talk("alice", "bob")
        place = bob.state.followed.seq
        await alice.say("hello")
        await bob.follow()
        assert (bob.texts, bob.findings) == (["hello"], [Forked(place)])

    @awaited
    async def test_a_false_log_is_false_throughout(self) -> None:
        """Else what betrays a lie would be that it was told badly."""
        alice, bob = await self.talk("alice", "bob")
        FalseLog(self.malice, alice.id, "bob", retell=drop(1))
        for words in ("one", "two"):
            await alice.say(words)
        real = await alice.follow()
        sent = await alice.commit()
        place = alice.state.followed.seq
        asking = delivery.AskEpoch(alice.id, sent.group.context.epoch)
        true = await alice.ask(delivery.BEGUN, asking)
        false = await bob.ask(delivery.BEGUN, asking)
        await bob.follow()
        assert (true.seq, true.hash) == (place, alice.state.followed.hash)
        assert (false.seq, false.hash) == (place - 1, bob.state.followed.hash)
        mine = await bob.ask(rooms.MINE, rooms.MyRooms())
        assert [one.head for one in mine.rooms if one.room == alice.id] == [place - 1]
        deleting = delivery.DeleteMessage(alice.id, place - 1)
        hinted = await alice.ask(delivery.TOMBSTONE, deleting, alice.member.key())
        log = await bob.member.log(alice.id)
        assert (hinted.seq, log[-1].seq, log[-1].kind) == (place + 1, place, "hint")
        assert int.from_bytes(log[-1].body, "big") == place - 2
        assert kinds(real) == [Own, Own]
