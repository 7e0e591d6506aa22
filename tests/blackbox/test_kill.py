"""kill -9 again and again under people who write: nothing acknowledged is lost, nothing is twice.

The writers are the real client's link and queue, which try again with the same command id; the
checker reads the whole log at the end.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from lairchat.client import catalog, effects, inputs
from lairchat.client.dial import RealDialer
from lairchat.client.link import Link, Target
from lairchat.client.profile import KnownServers, Profile, Session
from lairchat.demo_check import wall_clock
from lairchat.features.messages import messages as wire
from tests.blackbox.daemon import ROOMY, DaemonTest, awaited

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]

WRITERS = 8
CYCLES = int(os.environ.get("LAIRCHAT_KILL_CYCLES", "100"))


class Writer:
    """Somebody who writes without end, through the real link, and notes what was acknowledged."""

    def __init__(self, root: Path, name: str, port: int) -> None:
        self.name = name
        self.ticket = 0
        self.room = 0
        self.texts: dict[int, str] = {}
        self.acknowledged: dict[int, int] = {}
        self.shown: Counter[int] = Counter()
        self.order: list[int] = []
        self.writing = True
        self.link = Link(
            reactor,
            RealDialer(reactor, wall_clock),
            Target("127.0.0.1", port, account=name),
            KnownServers(root),
            lambda server, account: Profile(root, server, account),
            deliver=self.take,
            now=wall_clock,
            random=os.urandom,
        )

    def take(self, one: inputs.Input) -> None:
        """Do what the core would do: keep what is said, and write the next when one is stored."""
        match one:
            case inputs.RoomsSynced(rooms):
                self.room = rooms[0].id
                if not self.ticket:
                    self.write()
            case inputs.SendAcknowledged(ticket, seq):
                assert ticket not in self.acknowledged, "acknowledged twice"
                self.acknowledged[ticket] = seq
                if self.writing:
                    self.write()
            case inputs.MessageArrived(_, message) if message.kind == "text":
                self.shown[message.seq] += 1
                self.order.append(message.seq)

    def write(self) -> None:
        self.ticket += 1
        self.texts[self.ticket] = f"{self.name} says number {self.ticket}"
        self.link.perform(effects.Send(self.ticket, self.room, self.texts[self.ticket], False))


class KillAgainAndAgain(DaemonTest):
    """The history checker of the issue: 8 writers, 100 kills."""

    timeout = 900
    extra = ROOMY

    @awaited
    async def test_nothing_acknowledged_is_lost_and_nothing_is_shown_twice(self) -> None:
        names = [f"writer{number}" for number in range(WRITERS)]
        members = await self.friends(*names)
        root = self.directory / "profiles"
        writers = []
        for member in members:
            assert member.server is not None
            known = KnownServers(root)
            known.remember("127.0.0.1", self.server.port, member.server)
            profile = Profile(root, member.server, member.name)
            profile.keep_session(Session(member.name, 0, 0, member.token))
            member.leave()
            writers.append(Writer(root, member.name, self.server.port))
        for writer in writers:
            writer.link.start()
        dice = random.Random(20261123)
        for _ in range(CYCLES):
            await deferLater(reactor, 0.05 + dice.random() * 0.5)
            self.server.kill()
            self.server.start()
        for writer in writers:
            writer.writing = False
        await self.until_quiet(writers)
        events = {event.seq: event for event in await self.log(members[0])}
        assert sorted(events) == list(range(1, len(events) + 1))
        said = Counter(
            body.text
            for body in map(catalog.body_of, events.values())
            if isinstance(body, wire.Text)
        )
        assert max(said.values()) == 1, "a message is in the log twice"
        total = 0
        for writer in writers:
            assert len(writer.acknowledged) == writer.ticket, "something was never acknowledged"
            for ticket, seq in writer.acknowledged.items():
                body = catalog.body_of(events[seq])
                assert isinstance(body, wire.Text)
                assert body.text == writer.texts[ticket], f"#{seq} is not what was acknowledged"
            assert max(writer.shown.values(), default=1) == 1, "shown twice"
            assert writer.order == sorted(writer.order), "shown out of order"
            total += len(writer.acknowledged)
            await writer.link.stop()
        assert total > CYCLES, f"only {total} messages were written"

    async def until_quiet(self, writers: list[Writer]) -> None:
        """Wait until every message that was written is acknowledged."""
        began = time.monotonic()
        while any(len(writer.acknowledged) < writer.ticket for writer in writers):
            assert time.monotonic() - began < 60, "not everything was acknowledged within a minute"
            await deferLater(reactor, 0.05)

    async def log(self, member: object) -> list[wire.LogEvent]:
        reader = self.member(getattr(member, "name", ""))
        reader.token = b""
        await reader.connect()
        await reader.login()
        return await reader.log(1)
