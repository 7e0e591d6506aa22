"""A server that answers with rubbish, or not at all: no client fails at it, and each goes on once it can."""

import os
from typing import Any

import pytest
from msgspec.structs import replace

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.features.delivery import messages as delivery
from lairchat.features.identities import messages as identities
from lairchat.features.inbox import messages as inbox
from lairchat.features.joining import messages as joining
from lairchat.features.key_packages import messages as keys
from lairchat.features.messages import messages as wire
from lairchat.model import refusals
from lairchat.wire.contract import Command
from tests.blackbox.daemon import awaited
from tests.blackbox.deceived import FORKED, DeceivedTest
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client

pytestmark = pytest.mark.blackbox

RUBBISH = bytes(300), b"", os.urandom(200)

Answered = tuple[Command[Any, Any], Any]


def answers(data: bytes) -> list[Answered]:
    """Return how each answer that encrypted rooms rest on is made of rubbish."""
    return [
        (delivery.INFO, lambda reply: replace(reply, info=data)),
        (delivery.TREE, lambda reply: replace(reply, data=data, total=max(1, len(data)))),
        (identities.READ, lambda reply: replace(reply, data=data, more=False)),
        (
            keys.CLAIM,
            lambda reply: replace(reply, keys=[replace(one, package=data) for one in reply.keys]),
        ),
        (
            inbox.READ,
            lambda reply: replace(
                reply, entries=[replace(one, body=data) for one in reply.entries]
            ),
        ),
        (
            joining.JOINERS,
            lambda reply: replace(
                reply, knocks=[replace(one, body=data, packages=[data]) for one in reply.knocks]
            ),
        ),
    ]


class Rubbish(DeceivedTest):
    """What comes instead of an answer."""

    timeout = 240

    async def live(self, alice: Client, bob: Client, room: int) -> None:
        """Do what most answers are needed for, whatever becomes of it."""
        attic = alice.ref()
        alice.perform(effects.Create(attic, "attic", "private"))
        await alice.pause(0.3)
        made = [one.room.id for one in alice.of(inputs.RoomJoined) if one.ref == attic]
        for new in made:
            alice.perform(effects.InviteUser(alice.ref(), new, "bob"))
            await bob.pause(0.3)
            bob.perform(sealed.AcceptInvite(bob.ref(), "alice"))
        alice.perform(sealed.ShowIdentity(alice.ref(), "bob"))
        bob.perform(sealed.VerifyPerson(bob.ref(), "alice"))
        for one in (alice, bob):
            one.perform(effects.Send(one.ref() + 1_000, room, f"from {one.name} meanwhile"))
        await bob.pause(1.5)

    async def well(self, alice: Client, bob: Client, room: int, words: str) -> None:
        """See that both talk, and that somebody still comes into a new room."""
        for one in (alice, bob):
            await one.again()
            await self.eventually(lambda one=one: one.label(room) == "E2E", f"{one.name} is well")  # type: ignore[misc]
        await alice.say(room, words)
        await bob.hears(room, words)
        await bob.say(room, f"{words}, too")
        await alice.hears(room, f"{words}, too")

    @awaited
    async def test_rubbish_in_any_answer(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        for number, data in enumerate(RUBBISH):
            rules = [
                self.malice.on_reply(command, lambda _, __, reply, change=change: change(reply))
                for command, change in answers(data)
            ]
            await self.live(alice, bob, room)
            for rule in rules:
                rule.end()
            await self.well(alice, bob, room, f"well again {number}")
        new = await alice.create("cellar")
        await alice.do(lambda ref: effects.InviteUser(ref, new, "bob"))
        await bob.until(lambda: bob.of(inputs_sealed.Invited))
        await bob.do(lambda ref: sealed.AcceptInvite(ref, "alice"))
        await bob.in_room(new)

    @awaited
    async def test_refusals_of_all_that_is_asked(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        for number, refusal in enumerate(
            (refusals.Internal(incident="x"), refusals.GroupMissing(), refusals.NotMember())
        ):

            def refuse(_: Connection, __: Asked, refusal: Any = refusal) -> Any:
                return refusal

            asked = (*(one for one, _ in answers(b"")), delivery.BEGUN, delivery.STATE)
            rules = [
                self.malice.on_request(command, refuse)
                for command in (*asked, delivery.LEASE, delivery.COMMIT)
            ]
            await self.live(alice, bob, room)
            for rule in rules:
                rule.end()
            await self.well(alice, bob, room, f"well again {number}")

    @awaited
    async def test_a_message_that_is_said_to_stand_where_it_does_not(self) -> None:
        room, (alice, bob) = await self.talk("alice", "bob")
        taken: list[Asked] = []

        def lie(_: Connection, asked: Asked) -> Any:
            taken.append(asked)
            return wire.Sent(1, 9)

        rule = self.malice.on_request(wire.SEND, lie, "alice")
        alice.perform(effects.Send(9_001, room, "lost?"))
        await alice.until(
            lambda: [one for one in alice.of(inputs.SendRefused) if one.ticket == 9_001]
        )
        assert len(taken) == 1
        assert not [one for one in alice.of(inputs.SendAcknowledged) if one.ticket == 9_001]
        rule.end()
        await self.held(alice, room, FORKED)
        assert "lost?" not in bob.texts(room)
