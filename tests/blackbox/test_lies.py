"""What devices make of a server that lies about a room's log: messages, proposals and commits.

Over real connections, against a real daemon behind the proxy that lies.  Where a lie cannot be kept
from working, such as a partition, a test says what it gains.
"""

import os
from collections.abc import Sequence
from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from lairchat.client import catalog
from lairchat.demo_check import wall_clock
from lairchat.e2ee.following import Forked, Impossible, Repeated, Withheld
from lairchat.e2ee.payload import Text
from lairchat.e2ee.room import (
    Advanced,
    Halted,
    Happening,
    Noted,
    Opened,
    Out,
    Own,
    Passed,
    Unreadable,
    decided,
)
from lairchat.features.delivery import messages as delivery
from lairchat.features.delivery.removals import propose_removal
from lairchat.features.delivery.rules import SERVER
from lairchat.features.messages import messages as wire
from lairchat.mls.errors import MisuseError
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    ProposalContent,
    PublicMessage,
    encode_message,
)
from lairchat.mls.objects import Add
from lairchat.model.refusals import EpochStale
from lairchat.trust.policy import NO_HEAD, Because, Removal, encode_reasons
from lairchat.trust.signing import labelled
from tests.blackbox.daemon import awaited
from tests.blackbox.follower import Follower
from tests.blackbox.lies import (
    FalseLog,
    HoldRemoves,
    drop,
    flip,
    flipped,
    swap,
    without,
)
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
        for number, place in enumerate((0, 3, 30, 60, -70, -1), 1):
            lie = FalseLog(self.malice, alice.id, "bob", retell=flip(number, place))
            await alice.follow()
            await alice.say(f"whole {number}")
            assert kinds(await bob.follow()) == [Unreadable, Opened], place
            # From here on alice's log and bob's are not the same.
            lie.end()
            bob.room = changed(bob.state, followed=alice.state.followed)
            await alice.follow()
            await bob.follow()
        assert bob.texts == [f"whole {number}" for number in range(1, 7)]

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


class Commits(LiesTest):
    """What changes the room."""

    def propose(self, one: Follower, *because: Because, whom: Follower) -> bytes:
        """Return the server's own, well-signed proposal to remove somebody."""
        said = encode_reasons(*(Removal(reason, NO_HEAD) for reason in because))
        context = one.group.context
        return propose_removal(context, one.leaf_of(whom), said, self.malice.identity)

    @awaited
    async def test_a_replayed_commit_and_one_that_was_tampered_with_hold_the_room(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        for_bob, for_carol = (FalseLog(self.malice, alice.id, name) for name in ("bob", "carol"))
        for one in (bob, carol):
            await one.follow()
        for_carol.retell = lambda event: [flipped(event)]
        before = carol.group
        await alice.commit()
        assert kinds(await bob.follow()) == [Advanced]
        assert kinds(await carol.follow()) == [Halted]
        assert carol.group == before, "the old state is whole"
        for_bob.insert(for_bob.events[-1])
        assert kinds(await bob.follow()) == [Halted]
        for one in (bob, carol):
            with pytest.raises(MisuseError, match="held"):
                one.seal("to whom?")

    @awaited
    async def test_whoever_is_not_told_of_a_commit_reads_and_says_nothing_more(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        lie.retell = lambda event: [] if event.kind == "commit" else [event]
        await alice.commit()
        await alice.say("in the next epoch")
        assert kinds(await bob.follow()) == [Unreadable]
        with pytest.raises(EpochStale):
            await bob.say("in the last")

    @awaited
    async def test_the_server_cannot_propose_to_add(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        ghost = Follower(bob.member, bob.person, bob.server_key)
        await ghost.bring()
        lie = FalseLog(self.malice, alice.id, "alice", "bob")
        for one in (alice, bob):
            await one.follow()
        context = alice.group.context
        add = ProposalContent(Add(ghost.packages[-1].package))
        framed = FramedContent(context.group_id, context.epoch, SERVER, b"", add)
        content = AuthenticatedContent(PUBLIC_MESSAGE, framed, b"")
        data = labelled(b"MLS 1.0 FramedContentTBS", content.to_be_signed(None))
        signed = changed(content, signature=self.malice.identity.sign(data))
        lie.insert(forged("proposal", encode_message(PublicMessage(signed, None))))
        for one in (alice, bob):
            assert kinds(await one.follow()) == [Unreadable]
            assert not one.group.public.pending
        await alice.commit()
        assert len(alice.state.members) == 2

    @awaited
    async def test_the_server_cannot_propose_to_remove_the_last_administrator(self) -> None:
        alice, bob = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        for because in (Because.BANNED, Because.LEFT, Because.DECIDED, Because.REVOKED):
            lie.insert(forged("proposal", self.propose(bob, because, whom=alice)))
        assert kinds(await bob.follow()) == [Unreadable] * 4
        assert not bob.group.public.pending

    @awaited
    async def test_it_can_propose_that_a_member_is_banned_and_nothing_is_said_before(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        lie.insert(forged("proposal", self.propose(bob, Because.BANNED, whom=carol)))
        assert kinds(await bob.follow()) == [Noted]
        # Forged in the sense that nobody banned carol: the server can do no more than that.
        assert bob.group.public.pending
        tampered = bytearray(self.propose(bob, Because.BANNED, whom=carol))
        tampered[-5] ^= 1
        lie.insert(forged("proposal", bytes(tampered)))
        assert kinds(await bob.follow()) == [Unreadable]

    @awaited
    async def test_nobody_is_proposed_out_of_a_direct_conversation(self) -> None:
        alice, bob = await self.followers("alice", "bob")
        await bob.bring()
        await alice.open("bob")
        await alice.add("bob")
        await bob.come_in(alice.id)
        lie = FalseLog(self.malice, alice.id, "bob")
        await bob.follow()
        for because in (Because.BANNED, Because.LEFT):
            lie.insert(forged("proposal", self.propose(bob, because, whom=alice)))
        assert kinds(await bob.follow()) == [Unreadable, Unreadable]
        await alice.say("still here")
        await bob.follow()
        assert bob.texts == ["still here"]

    @awaited
    async def test_whoever_is_removed_says_nothing_more_with_the_servers_help(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        lie = FalseLog(self.malice, alice.id, "bob")
        await alice.follow()
        parting = carol.seal("parting words")
        await alice.commit(remove=[decided(alice.leaf_of(carol))])
        assert kinds(await bob.follow())[-1] is Advanced
        lie.insert(forged("app", parting))
        assert kinds(await bob.follow()) == [Unreadable]

    @awaited
    async def test_a_removal_that_is_held_back_parts_the_room_and_no_more(self) -> None:
        """Who is not told goes on with whoever was removed: nobody can tell them but a member."""
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        lie = HoldRemoves(self.malice, alice.id, "bob", "carol")
        for one in (alice, bob, carol):
            await one.follow()
        await alice.commit(remove=[decided(alice.leaf_of(carol))])
        await alice.say("without carol")
        await bob.say("to all")
        assert kinds(await carol.follow()) == [Opened]
        assert carol.texts == ["to all"]
        # And it holds for good: neither side opens what the other says, whatever it is shown.
        assert kinds(await alice.follow()) == [Own]
        lie.insert((await alice.member.log(alice.id))[-1])
        for one in (bob, carol):
            assert kinds(await one.follow())[-1] is Unreadable
            assert "without carol" not in one.texts
        # Nor do they agree on the room, which the members' own comparison of it shows.
        assert bob.group.authenticator != alice.group.authenticator
        await bob.commit()
        assert kinds(await carol.follow()) == [Advanced]
        state = await alice.ask(delivery.STATE, delivery.AskGroup(alice.id))
        assert state.epoch == alice.group.context.epoch

    @awaited
    async def test_a_removal_that_everybody_sees_puts_its_device_out(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        await carol.follow()
        await alice.commit(remove=[decided(alice.leaf_of(carol))])
        await alice.say("without carol")
        assert kinds(await bob.follow()) == [Advanced, Opened]
        # The daemon tells carol nothing any more; a server that lies may.
        FalseLog(self.malice, alice.id, "carol")
        assert kinds(await carol.follow()) == [Out, Unreadable]
        assert carol.texts == []
