"""People with the real client whose server lies to them: what they are shown, and what leaves them."""

import os
from typing import Any

from lairchat.client import effects, inputs, inputs_sealed
from lairchat.client import effects_sealed as sealed
from lairchat.demo_check import wall_clock
from lairchat.features.messages import messages as wire
from tests.blackbox.malice import Asked, Malice
from tests.blackbox.malice import Client as Connection
from tests.blackbox.private import Client, PrivateTest

FORKED = "the server shows the members different histories of this room"
REFUSED = "somebody has changed the room against its rules"


class DeceivedTest(PrivateTest):
    """A daemon behind the proxy that lies, and people who believe to be connected to the daemon.

    What a client logs as failed fails the test.
    sent: (name, room) of all messages that clients have sent.
    """

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)
        self.addCleanup(self.everybody_leaves)
        self.sent: list[tuple[str, int]] = []
        self.malice.on_request(wire.SEND, self._sending)

    def _sending(self, client: Connection, asked: Asked) -> Any:
        self.sent.append((client.name, asked.args.room))
        return asked.args

    def client(self, name: str, device: str = "") -> Client:
        """Return a device whose connections lead through the proxy."""
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    # -- rooms

    async def talk(self, *names: str) -> tuple[int, list[Client]]:
        """Return a direct conversation of two, and the two, who have said something."""
        alice, bob = people = await self.people(*names)
        room = await alice.direct(names[1])
        await alice.say(room, "hello")
        await bob.hears(room, "hello")
        await bob.say(room, "hello yourself")
        await alice.hears(room, "hello yourself")
        await self.settled(room, *people)
        return room, people

    async def gather(self, *names: str) -> tuple[int, list[Client]]:
        """Return a private room that the first has made, and everybody, who are all in it."""
        people = await self.people(*names)
        room = await people[0].create("attic")
        for one in people[1:]:
            await self.invite(people[0], room, one)
        await self.settled(room, *people)
        return room, people

    async def invite(self, by: Client, room: int, one: Client) -> None:
        """Bring somebody into a room."""
        await by.do(lambda ref: effects.InviteUser(ref, room, one.name))
        await one.until(lambda: one.of(inputs_sealed.Invited))
        await one.do(lambda ref: sealed.AcceptInvite(ref, by.name))
        await one.in_room(room)

    async def settled(self, room: int, *people: Client) -> None:
        """Wait until all are in one epoch, and nobody is about to change that."""

        def calm() -> bool:
            states = [one.link.sealed.following(room).state for one in people]
            keys = {state and state.group.authenticator for state in states}
            return (
                len(keys) == 1
                and all(
                    state is not None
                    and state.pending is None
                    and state.renewed_at
                    and not state.group.public.pending
                    for state in states
                )
                and all(one.link.sealed.following(room).idle for one in people)
            )

        await self.eventually(calm, "calm in a room")

    async def eventually(self, holds: Any, what: str, seconds: float = 30.0) -> None:
        """Wait until something holds."""
        for _ in range(int(seconds * 20)):
            if holds():
                return
            await Client.pause(0.05)
        raise AssertionError(f"in vain: {what}")

    # -- what people see

    async def held(self, one: Client, room: int, why: str) -> None:
        """Wait until a room is held, and see that nothing leaves there and that this is said."""
        await self.eventually(lambda: one.label(room) == "E2E!", f"{one.name} is held")
        text = one.link.sealed.labels.of(room)[1]
        assert why in text, text
        assert ". " in text, "no next step is named"
        told: list[tuple[str, str]] = []
        for heard in one.heard:
            if isinstance(heard, inputs.RoomChanged) and heard.room == room and heard.label:
                told.append((heard.label, heard.hold or ""))
            elif isinstance(heard, inputs.RoomsSynced):
                told += [(info.label, info.hold) for info in heard.rooms if info.id == room]
        assert told[-1] == ("E2E!", text), "the screen was not told"
        await self.refused(one, room)

    async def refused(self, one: Client, room: int) -> str:
        """Type something, which is refused and does not leave; return why."""
        before = self.sent.count((one.name, room))
        ticket = one.ref() + 1_000
        one.perform(effects.Send(ticket, room, "nobody may get this"))
        found = await one.until(
            lambda: [told for told in one.of(inputs.SendRefused) if told.ticket == ticket],
            "to be refused",
        )
        assert self.sent.count((one.name, room)) == before
        return str(found[0].text)

    def notices(self, one: Client) -> list[str]:
        """Return what was said to somebody beside the rooms."""
        return [told.text for told in one.of(inputs.Notice)]

    async def noticed(self, one: Client, what: str) -> str:
        """Wait until something is said to somebody."""
        found = await one.until(
            lambda: [text for text in self.notices(one) if what in text], f"to be told: {what}"
        )
        return str(found[-1])

    def shown(self, one: Client, room: int) -> list[str]:
        """Return everything that a room has shown, statements too."""
        return [
            told.message.text
            for told in one.of(inputs.MessageArrived)
            if told.room == room and told.message.kind != "gone"
        ]


def forged(kind: str, body: bytes, name: str = "", user: int = 0) -> wire.LogEvent:
    """Return an event that nobody has sent."""
    return wire.LogEvent(0, 0, wall_clock(), user, name, 0, kind, os.urandom(16), body)
