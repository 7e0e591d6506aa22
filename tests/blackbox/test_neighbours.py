"""Races and slow neighbours: decided once, bounded, unnoticed by others."""

import socket
import time
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from lairchat.features.accounts import messages as accounts
from lairchat.features.messages import messages as wire
from lairchat.features.moderation import messages as moderation
from lairchat.features.rooms import messages as rooms
from lairchat.model.refusal import Refusal
from tests.blackbox.daemon import DaemonTest, awaited, resident_kib

pytestmark = pytest.mark.blackbox


class Races(DaemonTest):
    """Two at once: exactly one outcome."""

    extra = DaemonTest.extra.replace("[limits]", '[accounts]\nregistration = "open"\n[limits]')

    @awaited
    async def test_two_clients_racing_for_a_name_make_one_account(self) -> None:
        for round_ in range(5):
            name = f"wanted{round_}"
            racers = [self.member(name) for _ in range(4)]
            for racer in racers:
                await racer.connect()
            asked = [
                racer.ask(
                    accounts.REGISTER,
                    accounts.Register(name if index % 2 else name.upper(), bytes([index]) * 32),
                )
                for index, racer in enumerate(racers)
            ]
            results = await DeferredList(asked, consumeErrors=True)
            assert [ok for ok, _ in results].count(True) == 1, results
            for ok, failure in results:
                if not ok:
                    assert failure.value.code == "LC-NAME-TAKEN"

    @awaited
    async def test_a_join_that_races_a_ban_never_leaves_a_banned_member(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        for round_ in range(15):
            info = await alice.ask(rooms.CREATE, rooms.CreateRoom(f"race{round_}"), alice.key())
            both = [
                bob.ask(rooms.JOIN, rooms.JoinRoom(f"race{round_}")),
                alice.ask(moderation.BAN, moderation.Ban(info.room, "bob"), alice.key()),
            ]
            await DeferredList(both, consumeErrors=True)
            members = await alice.ask(rooms.MEMBERS, rooms.ListMembers(info.room))
            assert [one.name for one in members.members] == ["alice"]
            with self.assertRaises(Refusal) as caught:
                await bob.ask(rooms.JOIN, rooms.JoinRoom(f"race{round_}"))
            assert caught.exception.code == "LC-BANNED"
            with self.assertRaises(Refusal):
                await bob.say(info.room, "let me in")

    @awaited
    async def test_an_id_is_answered_alike_before_and_after_a_kill(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        key = alice.key()
        first = await alice.say(1, "once", key)
        self.server.kill()
        self.server.start()
        for member in (alice, bob):
            await member.connect()
            await member.resume()
        again = await alice.say(1, "once", key)
        assert again == first
        page = await bob.ask(wire.HISTORY, wire.History(1, after=first.seq - 1))
        assert [event.seq for event in page.events if event.id == key] == [first.seq]


class StalledReceiver(DaemonTest):
    """security.md, fact 2: a client that stops reading must not take the server's memory."""

    @pytest.mark.slow
    @awaited
    async def test_memory_is_bounded_and_it_catches_up_and_nobody_notices(self) -> None:
        alice, bob, carol = await self.friends("alice", "bob", "carol")
        await alice.say(1, "begin")
        assert bob.connection is not None
        assert bob.connection.transport is not None
        # Bob's program stops reading: its socket fills, then the server's buffers for it.
        bob.connection.transport.pauseProducing()  # type: ignore[union-attr]
        base = resident_kib(self.server.pid)
        text = "x" * 4_000
        waits: list[float] = []
        last = 0
        for burst in range(60):
            began = time.monotonic()
            sents = [
                Deferred.fromCoroutine(alice.say(1, f"{burst} {index} {text}"))
                for index in range(50)
            ]
            for sent in sents:
                last = (await sent).seq
            await carol.hear(1, last)
            waits.append(time.monotonic() - began)
        grown = resident_kib(self.server.pid) - base
        assert grown < 24 * 1024, f"{grown} KiB more for one stalled client"
        assert sorted(waits)[len(waits) // 2] < 2, waits
        gaps = []
        bob.connection._on_event = lambda name, body: gaps.append(body) if name == "gap" else None
        bob.connection.transport.resumeProducing()  # type: ignore[union-attr]
        for _ in range(200):
            if gaps:
                break
            await deferLater(reactor, 0.05)
        assert gaps, "bob was never told of the gap"
        assert gaps[0].rooms == [1]
        events = await bob.log(1)
        assert [event.seq for event in events] == list(range(1, last + 1))


class Herd(DaemonTest):
    """Connections that come and go before anybody has logged in."""

    def files(self) -> int:
        """Count the files that the daemon has open."""
        return len(list(Path(f"/proc/{self.server.pid}/fd").iterdir()))

    async def until_files(self, most: int) -> None:
        """Wait until the daemon has no more files open than before."""
        for _ in range(200):
            if self.files() <= most:
                return
            await deferLater(reactor, 0.05)
        raise AssertionError(f"{self.files()} files are open, {most} were")

    @awaited
    async def test_connect_and_abort_leaves_no_memory_and_no_files(self) -> None:
        alice = await self.owner()

        def abort(count: int) -> None:
            for _ in range(count):
                with socket.create_connection(("127.0.0.1", self.server.port), 5) as one:
                    one.sendall(b"\x16\x03\x01\x00")

        before = self.files()
        # What a burst takes at its peak stays with the allocator; what bursts add to the highest
        # peak that there can be, all of them at once, is a leak.
        for _ in range(3):
            held = [
                socket.create_connection(("127.0.0.1", self.server.port), 5) for _ in range(400)
            ]
            for one in held:
                one.sendall(b"\x16\x03\x01\x00")
            while self.files() < before + 400:
                await alice.say(1, "warm")
            for one in held:
                one.close()
            await self.until_files(before)
        base = resident_kib(self.server.pid)
        for _ in range(10):
            abort(400)
            await alice.say(1, "alive")
            await self.until_files(before)
        await alice.say(1, "after")
        assert resident_kib(self.server.pid) - base < 5 * 1024
