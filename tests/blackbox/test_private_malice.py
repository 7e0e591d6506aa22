"""What people see of a server that lies about what is said in their rooms: the real client behind the proxy.

What is said there was said, each once; where the log is not the one that others have, it is held.
"""

import os

import pytest
from msgspec.structs import replace

from lairchat.client import catalog, effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.features.delivery.rules import hint
from lairchat.features.messages import messages as wire
from tests.blackbox.daemon import awaited
from tests.blackbox.deceived import FORKED, DeceivedTest, forged
from tests.blackbox.lies import FalseLog, drop, flip, swap, without

pytestmark = pytest.mark.blackbox


class Messages(DeceivedTest):
    """What is said."""

    @awaited
    async def test_a_flipped_bit_shows_nothing_and_the_original_is_shown(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob", retell=flip(3))
        await alice.say(room, "whole")
        await bob.hears(room, "whole")
        assert bob.texts(room) == ["hello", "hello yourself", "whole"]
        # One more event than alice has seen: her next message says so.
        await alice.say(room, "and the next")
        await self.held(bob, room, FORKED)
        assert alice.label(room) == "E2E"
        lie.end()
        await bob.again()
        await self.eventually(lambda: bob.label(room) == "E2E!", "a fork stays one")
        assert bob.texts(room).count("whole") <= 1

    @awaited
    async def test_a_replay_is_shown_once(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        await alice.say(room, "pay ten to carol")
        await bob.hears(room, "pay ten to carol")
        lie.insert(lie.events[-1])
        lie.insert(replace(lie.events[-1], id=os.urandom(16), name="carol", user=99))
        await alice.say(room, "that is all")
        await alice.say(room, "and now goodbye")
        await bob.hears(room, "and now goodbye")
        assert bob.texts(room).count("pay ten to carol") == 1
        await self.held(bob, room, FORKED)

    @awaited
    async def test_the_order_of_one_sender_is_noticed(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        FalseLog(self.malice, room, "bob", retell=swap(3))
        await alice.say(room, "no")
        await alice.say(room, "shall we?")
        await bob.hears(room, "no")
        await self.held(bob, room, FORKED)

    @awaited
    async def test_what_is_dropped_is_noticed_with_the_next_message(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        FalseLog(self.malice, room, "bob", retell=drop(4))
        await alice.say(room, "one")
        await bob.hears(room, "one")
        await alice.say(room, "two")
        await alice.say(room, "three")
        await bob.hears(room, "three")
        assert "two" not in bob.texts(room)
        await self.noticed(bob, "alice has seen")
        await self.held(bob, room, FORKED)

    @awaited
    async def test_a_message_that_is_acknowledged_and_thrown_away_is_missed(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        head = alice.link.sealed.position(room)
        assert head is not None
        rule = self.malice.on_request(wire.SEND, lambda *_: wire.Sent(head + 1, 9), "alice")
        await alice.say(room, "two")
        rule.end()
        # The next one cannot stand where the other was said to: both sides see it.
        alice.perform(effects.Send(9_001, room, "three"))
        await bob.hears(room, "three")
        assert "two" not in bob.texts(room)
        for one in (alice, bob):
            await self.held(one, room, FORKED)

    @awaited
    async def test_what_comes_late_and_whole_is_no_finding(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        await bob.again()
        lie.hold()
        await alice.say(room, "one")
        await alice.say(room, "two")
        await bob.pause(0.5)
        assert bob.texts(room) == []
        await lie.release()
        await bob.hears(room, "two")
        assert bob.texts(room) == ["one", "two"]
        assert bob.label(room) == "E2E"
        await bob.say(room, "three")
        await alice.hears(room, "three")
        assert not self.notices(bob)

    @awaited
    async def test_two_who_are_shown_different_logs_notice_it(self) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")
        for one, other in ((bob, "carol"), (carol, "bob")):
            FalseLog(self.malice, room, one.name, retell=without(other))
            await one.again()
        for one in (bob, carol):
            await one.say(room, f"from {one.name}")
        await alice.hears(room, "from carol")
        await alice.say(room, "to both")
        for one in (bob, carol):
            await self.held(one, room, FORKED)

    @awaited
    async def test_a_forked_room_goes_on_anew_once_the_truth_is_told(self) -> None:
        room, (alice, bob) = await self.gather("alice", "bob")
        lie = FalseLog(self.malice, room, "alice")
        await alice.again()
        await bob.say(room, "one")
        await alice.hears(room, "one")
        lie.insert(lie.events[-1])
        for words in ("two", "three"):
            await bob.say(room, words)
        await self.held(alice, room, FORKED)
        assert "/refound" in alice.link.sealed.labels.of(room)[1]
        lie.end()
        await alice.do(lambda ref: sealed.Refound(ref, room))
        new = alice.of(inputs.RoomJoined)[-1].room.id
        await bob.until(lambda: bob.of(inputs_sealed.Invited))
        await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
        await bob.in_room(new)
        await alice.say(new, "where were we?")
        await bob.hears(new, "where were we?")
        assert alice.label(room) == "E2E!"

    @awaited
    async def test_what_is_said_elsewhere_is_not_shown_here(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        other = await alice.create("other")
        await self.invite(alice, other, bob)
        lie, real = FalseLog(self.malice, room, "bob"), FalseLog(self.malice, other, "bob")
        await alice.say(other, "yes")
        await bob.hears(other, "yes")
        await alice.say(room, "would you lie?")
        await bob.hears(room, "would you lie?")
        lie.insert(real.events[-1])
        await alice.say(room, "well?")
        await bob.hears(room, "well?")
        assert "yes" not in bob.texts(room)

    @awaited
    async def test_nothing_in_clear_is_shown(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        inside = catalog.encode_text("from the server")
        await alice.say(room, "sealed")
        await bob.hears(room, "sealed")
        real = lie.events[-1].body
        user = lie.events[-1].user
        before = self.shown(bob, room)
        for kind in ("app", "commit", "proposal", "state", "text"):
            for body in (inside, b"from the server", b"", bytes(300), real[:-1], real):
                lie.insert(forged(kind, body, "alice", user))
        await bob.pause(1.0)
        assert self.shown(bob, room) == before

    @awaited
    async def test_a_withheld_commit_is_noticed_with_the_first_message_after_it(self) -> None:
        room, (alice, bob, carol) = await self.gather("alice", "bob", "carol")
        lie = FalseLog(self.malice, room, "carol")
        await carol.again()
        lie.retell = lambda event: [] if event.kind == "commit" else [event]
        await alice.link.sealed.commits.change(room, lambda _: {})
        await alice.say(room, "in the next epoch")
        await bob.hears(room, "in the next epoch")
        await self.held(carol, room, FORKED)
        assert "in the next epoch" not in carol.texts(room)

    @awaited
    async def test_ones_own_message_that_comes_back_in_anothers_name_is_shown_once(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "alice")
        await alice.say(room, "I owe you ten")
        lie.insert(replace(lie.events[-1], name="bob", user=self.malice.client("bob").user))
        await bob.say(room, "is that so?")
        await alice.hears(room, "is that so?")
        assert alice.texts(room).count("I owe you ten") <= 1
        assert all(
            one.message.sender != "bob"
            for one in alice.heard
            if getattr(getattr(one, "message", None), "text", "") == "I owe you ten"
        )

    @awaited
    async def test_a_hint_of_the_servers_deletes_nothing_here(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        lie = FalseLog(self.malice, room, "bob")
        sent = await alice.say(room, "keep this")
        await bob.hears(room, "keep this")
        user = self.malice.client("alice").user
        lie.insert(forged("hint", hint(sent.seq), "alice", user))
        await alice.say(room, "and this")
        await bob.hears(room, "and this")
        page = bob.link.sealed.lines(room, limit=10)
        assert [one.text for one in page.messages][-2:] == ["keep this", "and this"]
