"""A server that keeps things back, refuses for ever, or speaks of what it does not give: the client asks ever more rarely, and says so."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet import reactor

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.client.sealed import commits, following
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.model import refusals
from tests.blackbox.daemon import awaited
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.sealed_lies import SealedLiesTest

pytestmark = pytest.mark.blackbox


class Silence(SealedLiesTest):
    """Nothing waits for ever without saying so, and nothing is asked without end."""

    @awaited
    async def test_a_change_that_is_taken_and_never_shown(self) -> None:
        self.patch(commits, "ECHO_SECONDS", 0.5)
        (alice,) = await self.people("alice")
        try:
            room = await alice.create("attic")
            await alice.until(lambda: alice.link.sealed.title(room) == "attic")
            await alice.pause(3.0)  # until its first keys are renewed
            head = alice.link.rooms.heads[room]

            def known(_: Connection, __: Asked, page: wire.Page) -> wire.Page:
                return replace(page, events=[one for one in page.events if one.seq <= head])

            rules = [
                self.malice.on_event(wire.MESSAGE.name, lambda _, __: None, "alice"),
                self.malice.on_reply(wire.HISTORY, known, "alice"),
            ]
            changing = alice.link.sealed.commits.change(room, lambda _: {})
            with self.assertRaises(refusals.EpochStale):
                await changing
            assert alice.label(room) == "E2E?"
            assert "does not say" in alice.link.sealed.labels.of(room)[1]
            for rule in rules:
                rule.end()
            await alice.until(lambda: alice.label(room) == "E2E")
            await alice.say(room, "and on it goes")
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_server_that_says_for_ever_that_keys_have_changed(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await alice.pause(1.0)
            asked: list[bytes] = []

            def stale(_: Connection, one: Asked) -> Any:
                asked.append(one.args.body)
                return refusals.EpochStale(epoch=9)

            rule = self.malice.on_request(wire.SEND, stale, "alice")
            alice.perform(effects.Send(2_000, room, "are you there?"))
            told = await alice.until(lambda: alice.of(inputs.SendRefused))
            assert told[0].retry_after == 2.0
            many = len(asked)
            assert many <= 8
            await alice.pause(1.5)
            assert len(asked) == many
            rule.end()
            await alice.until(
                lambda: [one for one in alice.of(inputs.SendAcknowledged) if one.ticket == 2_000]
            )
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_server_that_speaks_of_more_than_it_gives(self) -> None:
        self.patch(following, "GIVEN_SECONDS", 1.0)
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await alice.pause(1.0)

            def ahead(_: Connection, __: Asked, state: delivery.GroupState) -> Any:
                return replace(state, seq=state.seq + 5)

            rules = [
                self.malice.on_reply(delivery.STATE, ahead, "alice"),
                self.malice.on_request(
                    wire.SEND, lambda _, __: refusals.EpochStale(epoch=9), "alice"
                ),
            ]
            alice.perform(effects.Send(2_000, room, "are you there?"))
            await alice.until(lambda: "does not give" in alice.link.sealed.labels.of(room)[1])
            assert alice.label(room) == "E2E?"
            for rule in rules:
                rule.end()
            await alice.until(
                lambda: [one for one in alice.of(inputs.SendAcknowledged) if one.ticket == 2_000]
            )
            assert alice.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_commits_that_are_refused_for_ever_are_made_ever_more_rarely(self) -> None:
        (alice,) = await self.people("alice")
        try:
            made: list[float] = []

            def refuse(_: Connection, __: Asked) -> Any:
                made.append(reactor.seconds())
                return refusals.GroupRemoves(count=1)

            self.malice.on_request(delivery.COMMIT, refuse, "alice")
            await alice.create("attic")
            await alice.pause(12.0)
            # Bursts of tries, and a longer rest after each.
            rests = [b - a for a, b in pairwise(made) if b - a > 1.0]
            assert len(rests) >= 2, rests
            assert rests[1] > 1.5 * rests[0]
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_log_with_a_hole_is_said_on_the_lock(self) -> None:
        self.patch(following, "RETRY_SECONDS", 0.2)
        alice, bob = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            await bob.hears(room, "hello bob")
            hole = bob.link.rooms.heads[room] + 1

            def without(_: Connection, __: Asked, page: wire.Page) -> wire.Page:
                return replace(page, events=[one for one in page.events if one.seq != hole])

            def unseen(_: Connection, event: wire.LogEvent) -> Any:
                return None if (event.room, event.seq) == (room, hole) else event

            rules = [
                self.malice.on_event(wire.MESSAGE.name, unseen, "bob"),
                self.malice.on_reply(wire.HISTORY, without, "bob"),
            ]
            await alice.say(room, "one")
            await alice.say(room, "two")
            await bob.until(lambda: "does not give" in bob.link.sealed.labels.of(room)[1])
            assert bob.label(room) == "E2E?"
            assert not bob.texts(room)[1:]
            for rule in rules:
                rule.end()
            await bob.hears(room, "two")
            assert bob.texts(room) == ["hello bob", "one", "two"]
            assert bob.label(room) == "E2E"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_what_was_to_be_done_soon_is_done_after_a_lost_connection(self) -> None:
        self.patch(commits, "SOON_SECONDS", 6.0)
        alice, bob, carol = await self.people("alice", "bob", "carol")
        try:
            room = await alice.create("attic")
            for one in (bob, carol):
                await alice.do(lambda ref, one=one: effects.InviteUser(ref, room, one.name))
                await one.until(lambda one=one: one.of(inputs_sealed.Invited))
                await one.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
                await one.in_room(room)
            store = carol.link.sealed.opened
            state = store.room(room)
            assert state is not None
            assert not state.renewed_at
            self.malice.client("carol").cut()
            await carol.until(lambda: carol.of(inputs.CaughtUp))
            for _ in range(80):
                state = store.room(room)
                assert state is not None
                if state.renewed_at:
                    return
                await carol.pause(0.1)
            raise AssertionError("its keys were never renewed")
        finally:
            await self.everybody_leaves()
