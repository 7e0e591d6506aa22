"""What devices make of a server that lies about who is in a room: commits and proposals.

Over real connections, against a real daemon behind the proxy that lies.  Where a lie cannot be kept
from working, such as a partition, a test says what it gains.
"""

import os
from dataclasses import replace as changed

import pytest

from lairchat.e2ee.room import (
    Advanced,
    Halted,
    Noted,
    Opened,
    Out,
    Own,
    Unreadable,
    decided,
)
from lairchat.features.delivery import messages as delivery
from lairchat.features.delivery.removals import propose_removal
from lairchat.features.delivery.rules import SERVER
from lairchat.mls.errors import MisuseError
from lairchat.mls.messages import (
    PUBLIC_MESSAGE,
    AuthenticatedContent,
    FramedContent,
    ProposalContent,
    PublicMessage,
    encode_message,
)
from lairchat.mls.objects import Add, Remove
from lairchat.model.refusals import EpochStale
from lairchat.trust.policy import NO_HEAD, Because, Removal, encode_reasons
from lairchat.trust.signing import labelled
from tests.blackbox.daemon import awaited
from tests.blackbox.follower import Follower
from tests.blackbox.lies import (
    FalseLog,
    flipped,
)
from tests.blackbox.partitions import HoldRemoves
from tests.blackbox.test_lies import LiesTest, forged, kinds

pytestmark = pytest.mark.blackbox


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
    async def test_a_proposal_that_is_held_back_parts_the_room_too(self) -> None:
        alice, bob, carol = await self.talk("alice", "bob", "carol")
        HoldRemoves(self.malice, alice.id, "bob", "carol")
        for one in (alice, bob, carol):
            await one.follow()
        await carol.ask(delivery.LEAVE, delivery.AskGroup(alice.id))
        assert kinds(await alice.follow()) == [Noted]
        assert kinds(await bob.follow()) == []
        said = encode_reasons(Removal(Because.DECIDED, NO_HEAD))
        leaving = Remove(carol.group.leaf)
        inside, _ = carol.group.propose(leaving, os.urandom, authenticated_data=said)
        request = delivery.ProposeChange(alice.id, inside)
        await carol.ask(delivery.PROPOSE, request, carol.member.key())
        assert kinds(await bob.follow()) == [Noted]
        await bob.commit()
        assert len(bob.state.members) == 2
        assert kinds(await alice.follow()) == []
        assert len(alice.state.members) == 3

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
