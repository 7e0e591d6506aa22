"""What is read on one device is read on the other: the real client and daemon, and a server that lies."""

import pytest
from msgspec.structs import replace

from lairchat.client import effects, inputs
from lairchat.features.reading import messages as wire
from tests.blackbox.daemon import awaited
from tests.blackbox.malice import Client as Connection
from tests.blackbox.malice import Malice
from tests.blackbox.private import Client
from tests.blackbox.test_backup import BackupTest

pytestmark = pytest.mark.blackbox


class PlacesTest(BackupTest):
    """Alice writes to Bob, who has two devices."""

    async def three(self, *said: str) -> tuple[Client, Client, Client, int]:
        alice, bob = await self.people("alice", "bob")
        room = await alice.direct("bob")
        await bob.in_room(room)
        other = await self.second(bob)
        await other.in_room(room)
        await self.heard(alice, (bob, other), room, *said)
        return alice, bob, other, room

    @staticmethod
    async def heard(by: Client, others: tuple[Client, ...], room: int, *said: str) -> None:
        for text in said:
            await by.say(room, text)
            for one in others:
                await one.hears(room, text)

    def read(self, one: Client, room: int, text: str) -> int:
        """Let a device read up to a message."""
        seq = self.seq_of(one, room, text)
        one.perform(effects.MoveCursor(room, seq))
        return seq

    @staticmethod
    def unread(one: Client, room: int) -> int:
        return one.link.sealed.dress(one.link.rooms.infos[room], None).unread

    @staticmethod
    async def moved(one: Client, room: int, seq: int) -> inputs.CursorMoved:
        """Wait until a device hears that another one has read so far."""
        found: list[inputs.CursorMoved] = await one.until(
            lambda: [
                told for told in one.of(inputs.CursorMoved) if (told.room, told.seq) == (room, seq)
            ],
            f"for {seq} to be read",
        )
        return found[0]


class Honest(PlacesTest):
    """A daemon as it is."""

    @awaited
    async def test_what_one_device_reads_the_other_has_read(self) -> None:
        alice, bob, other, room = await self.three("one", "two", "three")
        try:
            assert self.unread(bob, room) == self.unread(other, room) == 3
            # At once, nothing being done there.
            told = await self.moved(other, room, self.read(bob, room, "two"))
            assert (told.unread, self.unread(other, room)) == (1, 1)
            # What was read within the ten seconds is told at the end of the program.
            last = self.read(bob, room, "three")
            await bob.pause(0.2)
            assert self.unread(other, room) == 1
            await bob.leave()
            told = await self.moved(other, room, last)
            assert (told.unread, self.unread(other, room)) == (0, 0)
            # And the other way, to one that was not there.
            await self.heard(alice, (other,), room, "four")
            end = self.read(other, room, "four")
            await other.pause(0.2)
            await bob.again()
            await self.moved(bob, room, end)
            assert self.unread(bob, room) == 0
            state = bob.link.sealed.opened.room(room)
            assert state is not None
            # The server knows the group; that a slot speaks of it, and how far, it does not.
            slots = (await bob.link.ask(wire.LIST, wire.ListPlaces())).slots
            assert len(slots) == 2
            for slot in slots:
                assert len(slot.data) == 284
                assert state.group.context.group_id not in slot.data
        finally:
            await self.everybody_leaves()


class Lying(PlacesTest):
    """One that gives slots as it likes."""

    def setUp(self) -> None:
        super().setUp()
        self.malice = Malice(self.server)
        self.addCleanup(self.malice.stop)

    def client(self, name: str, device: str = "") -> Client:
        found = super().client(name, device)
        found.port = self.malice.port
        found.link.target.port = self.malice.port
        return found

    @awaited
    async def test_slots_that_are_not_what_they_say_mark_nothing_read(self) -> None:
        _, bob, other, room = await self.three("one", "two")
        try:
            mine = other.link.sealed.require_own().identity.device
            held: list[wire.Slot] = []

            def lie(_: Connection, slot: wire.Slot) -> list[wire.Slot]:
                held.append(slot)
                damaged = slot.data[:-1] + bytes([slot.data[-1] ^ 1])
                return [
                    replace(slot, device=mine),
                    replace(slot, data=damaged),
                    replace(slot, data=slot.data[:12]),
                    replace(slot, device=b"nobody", data=b""),
                ]

            rule = self.malice.on_event(wire.MOVED.name, lie)
            end = self.read(bob, room, "two")
            while not held:
                await other.pause(0.05)
            await other.pause(0.5)
            assert other.of(inputs.CursorMoved) == []
            assert self.unread(other, room) == 2
            rule.end()
            # Kept back for a time it comes with the next look; given again it says nothing new.
            swap = self.malice.on_reply(
                wire.LIST, lambda _, __, page: replace(page, slots=[*page.slots, *held, *held])
            )
            await other.again()
            await self.moved(other, room, end)
            assert len(other.of(inputs.CursorMoved)) == 1
            assert self.unread(other, room) == 0
            swap.end()
        finally:
            await self.everybody_leaves()
