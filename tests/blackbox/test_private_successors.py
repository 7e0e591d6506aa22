"""A direct conversation that is held for good goes on in another, whatever a server says of the two."""

import os
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from lairchat.client import effects, inputs
from lairchat.client import effects_sealed as sealed
from lairchat.demo_private import Waited
from lairchat.features.delivery import messages as delivery
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.model import refusals
from lairchat.model.ids import command_id
from lairchat.wire.contract import Command
from tests.blackbox.daemon import awaited
from tests.blackbox.deceived import REFUSED, DeceivedTest
from tests.blackbox.malice import Asked
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client

pytestmark = pytest.mark.blackbox

OVER = "this conversation is over, and read only"


class SuccessorTest(DeceivedTest):
    """Two people whose conversation somebody has broken."""

    async def broken(self, *more: str) -> tuple[int, list[Client]]:
        """Return a conversation that a false commit has halted for both, and the people."""
        room, people = await self.talk("alice", "bob", *more)
        alice, bob = people[:2]

        def spoil(_: Connection, asked: Asked) -> Any:
            message = bytearray(asked.args.message)
            message[-1] ^= 1
            return replace(asked.args, message=bytes(message))

        rule = self.malice.on_request(delivery.COMMIT, spoil, "bob")
        commit = bob.link.sealed.commits.change(room, lambda _: {})
        Deferred.fromCoroutine(commit).addErrback(lambda _: None)
        for one in (alice, bob):
            await self.held(one, room, REFUSED)
        rule.end()
        return room, people

    async def talk(self, *names: str) -> tuple[int, list[Client]]:
        """Return a conversation of the first two, and everybody."""
        people = await self.people(*names)
        alice, bob = people[:2]
        room = await alice.direct(bob.name)
        await alice.say(room, "hello")
        await bob.hears(room, "hello")
        await self.settled(room, alice, bob)
        return room, people

    async def refound(self, one: Client, room: int) -> int:
        """Have a conversation go on, and return where."""
        await one.do(lambda ref: sealed.Refound(ref, room))
        shown = [told.room.id for told in one.of(inputs.RoomJoined) if told.show]
        return int(shown[-1])

    async def chat(self, room: int, alice: Client, bob: Client, what: str) -> None:
        """Have the two talk."""
        for one, other in ((alice, bob), (bob, alice)):
            text = f"{what}, says {one.name}"
            await one.say(room, text)
            await other.hears(room, text)

    async def over(self, old: int, new: int, *people: Client) -> None:
        """Hold people to what they see of a conversation that is over, and of the one after it."""
        for one in people:
            await self.held(one, old, OVER)
            assert one.label(new) == "E2E"
            other = one.link.sealed.peer_name(new)
            found = one.link.rooms.by_name(f"@{other}")
            assert found is not None
            assert found.room == new
            assert await one.direct(other) == new


class Successors(SuccessorTest):
    """How it goes on."""

    @awaited
    async def test_a_broken_conversation_goes_on_in_one_action(self) -> None:
        old, (alice, bob) = await self.broken()
        new = await self.refound(bob, old)
        assert new != old
        await alice.in_room(new)
        await self.chat(new, alice, bob, "here we are again")
        await self.over(old, new, alice, bob)
        lines = alice.link.sealed.lines(old, limit=9)
        assert [one.text for one in lines.messages if one.kind == "text"] == ["hello"]
        state = alice.link.sealed.store.room(old)
        message, _ = state.group.encrypt(b"once more", os.urandom)
        key = command_id(alice.link.server_now(), bytes(10))
        with pytest.raises(refusals.RoomFollowed):
            await alice.link.ask(wire.SEND, wire.Send(old, message), key)
        for one in (alice, bob):
            await one.again()
        await self.over(old, new, alice, bob)
        await self.chat(new, alice, bob, "and again")

    @awaited
    async def test_of_two_at_once_there_is_one(self) -> None:
        old, (alice, bob) = await self.broken()
        for one in (alice, bob):
            one.perform(sealed.Refound(one.ref(), old))
        found = [
            await one.until(
                lambda one=one: [t.room.id for t in one.of(inputs.RoomJoined) if t.room.id != old]
            )
            for one in (alice, bob)
        ]
        (new,) = {rooms_[-1] for rooms_ in found}
        assert new != old
        for one in (alice, bob):
            await one.in_room(new)
        await self.chat(new, alice, bob, "one of us was quicker")
        await self.over(old, new, alice, bob)


class Liars(SuccessorTest):
    """What a server makes of it that lies."""

    def answer(self, command: Command[Any, Any], change: Any, *whose: str) -> Any:
        return self.malice.on_reply(command, lambda _, __, reply: change(reply), *whose)

    async def fails(self, one: Client, room: int) -> str:
        """Have something be said against founding a conversation anew."""
        before = set(one.link.sealed.store.rooms())
        with pytest.raises(Waited) as refusal:
            await self.refound(one, room)
        assert set(one.link.sealed.store.rooms()) == before
        return str(refusal.value)

    @awaited
    async def test_it_leads_into_nothing_else_than_asked_for(self) -> None:
        old, (alice, bob, mallory) = await self.broken("mallory")
        other = await alice.direct("mallory")
        await self.settled(other, alice, mallory)
        infos = alice.link.rooms.infos
        lobby = next(one for one in infos.values() if one.name == "lobby")
        for false in (
            infos[old],
            infos[other],
            replace(infos[other], name="bob", follows=old),
            replace(lobby, kind="direct", name="bob", access="private", follows=old),
            lobby,
        ):
            rule = self.answer(rooms.REFOUND, lambda _, false=false: false, "alice")
            assert "another conversation" in await self.fails(alice, old) or false is infos[old]
            rule.end()
        assert alice.label(other) == "E2E"
        assert alice.label(old) == "E2E!"
        # The truth still leads on.
        new = await self.refound(alice, old)
        await bob.in_room(new)
        await self.chat(new, alice, bob, "none of you")

    @awaited
    async def test_a_group_of_somebody_else_is_not_taken_for_it(self) -> None:
        """The server has mallory found the group in the name of bob."""
        old, (alice, _, mallory) = await self.broken("mallory")
        self.malice.on_event("room.joined", lambda *_: None, "alice")
        self.malice.on_event("inbox.new", lambda *_: None, "alice")
        false = await mallory.direct("alice")

        def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
            return replace(info, room=false, name="bob", follows=old, followed_by=None)

        self.answer(rooms.REFOUND, lie, "alice")
        alice.perform(sealed.Refound(alice.ref(), old))
        await alice.pause(3.0)
        assert alice.link.sealed.store.room(false) is None
        assert alice.label(false) == "E2E?"
        assert alice.label(old) == "E2E!"
        before = len(self.sent)
        alice.perform(effects.Send(alice.ref() + 1_000, false, "for bob alone"))
        await alice.pause(1.0)
        assert len(self.sent) == before

    @awaited
    async def test_the_two_do_not_change_places(self) -> None:
        old, (alice, bob) = await self.broken()
        new = await self.refound(alice, old)
        await bob.in_room(new)
        await self.chat(new, alice, bob, "in the new one")
        info = {room: alice.link.rooms.infos[room] for room in (old, new)}

        def swap(one: rooms.RoomInfo) -> rooms.RoomInfo:
            if one.room == old:
                return replace(one, follows=new, followed_by=None)
            if one.room == new:
                return replace(one, follows=None, followed_by=old)
            return one

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            return replace(reply, rooms=[swap(one) for one in reply.rooms])

        self.malice.on_reply(rooms.MINE, listed, "alice")
        self.answer(rooms.DIRECT, lambda _: swap(info[old]), "alice")
        self.answer(rooms.REFOUND, lambda _: swap(info[old]), "alice")
        await alice.again()
        await self.over(old, new, alice)
        shown = {one.id: one.name for one in alice.of(inputs.RoomsSynced)[-1].rooms}
        assert (shown[old], shown[new]) == ("bob (before)", "bob")
        await self.chat(new, alice, bob, "still in the new one")
        # Nor is a conversation given up that nothing has ended.
        assert "not held for good" in await self.fails(alice, new)

    @awaited
    async def test_nobody_is_moved_into_a_conversation_that_nobody_founded(self) -> None:
        """The server says by itself that there is a successor."""
        old, (alice, _) = await self.talk("alice", "bob")
        new = old + 50

        def more(_: Connection, __: Asked, reply: Any) -> Any:
            (one,) = [found for found in reply.rooms if found.room == old]
            told = [
                replace(found, followed_by=new) if found is one else found for found in reply.rooms
            ]
            return replace(reply, rooms=[*told, replace(one, room=new, head=1, follows=old)])

        self.malice.on_reply(rooms.MINE, more, "alice")
        self.malice.on_request(
            delivery.STATE,
            lambda _, asked: refusals.GroupMissing() if asked.args.room == new else asked.args,
            "alice",
        )
        founded: list[int] = []

        def found(_: Connection, asked: Asked) -> Any:
            founded.append(asked.args.room)
            return asked.args

        self.malice.on_request(delivery.FOUND, found, "alice")
        await alice.again()
        await alice.pause(2.0)
        assert not founded
        assert alice.link.sealed.store.room(new) is None
        assert "the server says" in alice.link.sealed.labels.of(old)[1]
        # It can keep people from talking, as ever, and nothing goes anywhere else.
        assert "the server says" in await self.refused(alice, old)
        alice.perform(effects.Send(alice.ref() + 1_000, new, "to the new one"))
        await alice.pause(1.0)
        assert not [one for one in self.sent if one == ("alice", new)]
