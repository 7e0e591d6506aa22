"""A server that lies to the real client, link and store: what it cannot make that client say, or believe."""

from typing import Any

import pytest
from msgspec.structs import replace

from lairchat.client import effects, inputs
from lairchat.features.messages import messages as wire
from lairchat.features.rooms import messages as rooms
from lairchat.wire.contract import Command
from tests.blackbox.daemon import awaited
from tests.blackbox.malice import Asked, Malice
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client, PrivateTest

pytestmark = pytest.mark.blackbox

SECRET = "meet me at the old mill"


class SealedLiesTest(PrivateTest):
    """People whose connections lead through a server that lies."""

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)
        self.clear: list[bytes] = []
        self.malice.on_request(wire.SEND, self._sent)

    def _sent(self, _: Connection, asked: Asked) -> Any:
        self.clear.append(bytes(asked.args.body))
        return asked.args

    def client(self, name: str, device: str = "") -> Client:
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    def retell(self, change: Any, *whose: str) -> None:
        """Say something else of rooms, wherever the server says anything of them."""

        def listed(_: Connection, __: Asked, reply: Any) -> Any:
            return replace(reply, rooms=[change(info) for info in reply.rooms])

        self.malice.on_reply(rooms.MINE, listed, *whose)
        self.malice.on_event(
            "room.joined", lambda _, body: replace(body, room=change(body.room)), *whose
        )

    def answer(self, command: Command[Any, Any], change: Any, *whose: str) -> None:
        """Say something else of a room in answer to a command."""
        self.malice.on_reply(command, lambda _, __, reply: change(reply), *whose)

    def said_in_clear(self, *whose: Client) -> bool:
        files = [
            path.read_bytes() for one in whose for path in one.root.rglob("*") if path.is_file()
        ]
        return any(SECRET.encode() in one for one in [*self.clear, *files])

    async def type(self, one: Client, room: int) -> inputs.Input:
        """Type the secret in a room, and return what is said of that."""
        ticket = one.ref() + 1_000
        one.perform(effects.Send(ticket, room, SECRET))
        await one.pause(0.5)
        return next(
            (told for told in one.heard if getattr(told, "ticket", 0) == ticket), inputs.Tick(0)
        )


class Names(SealedLiesTest):
    """Who a conversation is with is the group's to say."""

    @awaited
    async def test_two_conversations_do_not_change_places(self) -> None:
        alice, _, _ = await self.people("alice", "bob", "mallory")
        try:
            real = await alice.direct("bob")
            false = await alice.direct("mallory")
            await alice.say(real, "hello bob")
            await alice.say(false, "hello mallory")
            names = {real: "mallory", false: "bob"}
            self.retell(lambda info: replace(info, name=names.get(info.room, info.name)), "alice")
            await alice.again()
            shown = {one.id: one.name for one in alice.of(inputs.RoomsSynced)[-1].rooms}
            assert (shown[real], shown[false]) == ("bob", "mallory")
            found = alice.link.rooms.by_name("@bob")
            assert found is not None
            assert found.room == real
            again = await alice.direct("bob")
            assert again == real
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_room_is_not_made_the_conversation_with_somebody(self) -> None:
        (alice,) = await self.people("alice")
        try:
            room = await alice.create("attic")
            await alice.until(lambda: alice.link.sealed.title(room) == "attic")

            def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
                return replace(info, kind="direct", name="bob") if info.room == room else info

            self.retell(lie, "alice")
            await alice.again()
            shown = {one.id: one for one in alice.of(inputs.RoomsSynced)[-1].rooms}[room]
            assert (shown.name, shown.direct) == ("attic", False)
            assert alice.link.rooms.by_name("@bob") is None
            found = alice.link.rooms.by_name("#attic")
            assert found is not None
            assert found.room == room
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_new_room_is_none_that_there_was(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            work = await alice.create("work")
            old = alice.link.rooms.infos[work]
            self.answer(rooms.CREATE, lambda _: old, "alice")
            ref = alice.ref()
            alice.perform(effects.Create(ref, "attic", "private"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
            assert alice.link.sealed.title(work) == "work"
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_a_conversation_that_is_asked_for_is_with_that_person(self) -> None:
        alice, _, _ = await self.people("alice", "bob", "mallory")
        try:
            false = await alice.direct("mallory")
            await alice.say(false, "hello mallory")
            info = alice.link.rooms.infos[false]
            self.answer(rooms.DIRECT, lambda _: replace(info, name="bob"), "alice")
            ref = alice.ref()
            alice.perform(effects.OpenDirect(ref, "bob"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
        finally:
            await self.everybody_leaves()


class Clear(SealedLiesTest):
    """Nothing that is typed for an encrypted room leaves in the clear."""

    def plainly(self, *rooms_: int) -> None:
        """Say of rooms that they are public, and never were anything else."""

        def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
            if info.room not in rooms_:
                return info
            return replace(
                info, crypto="plain", access="public", kind="room", name="bob", role="member"
            )

        self.retell(lie, "alice")

    @awaited
    async def test_not_while_the_store_is_locked(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            alice.keyring = type(alice.keyring)()
            self.plainly(room)
            await alice.again()
            assert alice.link.sealed.store is None
            shown = {one.id: one for one in alice.of(inputs.RoomsSynced)[-1].rooms}[room]
            assert shown.label == "E2E?"
            told = await self.type(alice, room)
            assert isinstance(told, inputs.SendRefused), told
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice)

    @awaited
    async def test_not_into_a_room_that_was_only_listed_as_encrypted(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            room = await alice.direct("bob")
            await alice.say(room, "hello bob")
            # A device that has never been in the room: none of the account's yet.
            second = self.client("alice", "-second")
            await second.log_in()
            assert second.link.rooms.infos[room].crypto == "mls"
            self.plainly(room)
            await second.again()
            await self.type(second, room)
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice, second)

    @awaited
    async def test_not_into_a_conversation_that_was_to_be_encrypted(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            self.plainly(*range(100))
            self.answer(rooms.DIRECT, lambda info: replace(info, crypto="plain"), "alice")
            ref = alice.ref()
            alice.perform(effects.OpenDirect(ref, "bob"))
            answer = await alice.until(
                lambda: next((one for one in alice.heard if getattr(one, "ref", 0) == ref), None)
            )
            assert isinstance(answer, inputs.CommandFailed), answer
        finally:
            await self.everybody_leaves()

    @awaited
    async def test_not_into_a_conversation_or_private_room_that_is_said_to_be_plain(self) -> None:
        alice, _ = await self.people("alice", "bob")
        try:
            lobby = next(iter(alice.link.rooms.infos))

            def lie(info: rooms.RoomInfo) -> rooms.RoomInfo:
                return replace(info, kind="direct", access="private", name="bob")

            self.retell(lie, "alice")
            await alice.again()
            told = await self.type(alice, lobby)
            assert isinstance(told, inputs.SendRefused), told
        finally:
            await self.everybody_leaves()
        assert not self.said_in_clear(alice)
