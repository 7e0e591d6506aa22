"""The wall clock jumps by a day and by ten years; timers and sessions must not care.

security.md, fact 1: Twisted's timers follow the wall clock unless told otherwise.
"""

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from lairchat.demo_check import wall_clock
from lairchat.wire.objects import ServerHello
from tests.blackbox.daemon import DaemonTest, RawClient, awaited
from tests.requirements import faketime_library, require

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]


class ClockJumps(DaemonTest):
    """A daemon whose wall clock is a file that the test writes."""

    autostart = False

    def setUp(self) -> None:
        require("libfaketime")
        super().setUp()
        self.clock = self.directory / "clock"
        self.clock.write_text("+0\n")
        self.server._environ = {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.server.start()

    @awaited
    async def test_jumps_neither_cut_nor_freeze_anybody(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        stranger = self.member("stranger")
        await stranger.connect()
        for jump in ("+1d", "-1d", "+10y", "-10y", "+0"):
            self.clock.write_text(f"{jump}\n")
            await deferLater(reactor, 1.5)
            if jump == "+1d":
                hello = (await deferToThread(RawClient, self.server.port)).hello
                assert isinstance(hello, ServerHello)
                assert hello.now - wall_clock() > 80_000_000, "the daemon's clock did not jump"
            if jump == "+0":
                sent = await alice.say(1, "after all jumps")
                await bob.hear(1, sent.seq)
            assert alice.connection is not None
            assert alice.connection.connected, jump
            assert stranger.connection is not None
            assert stranger.connection.connected, f"{jump}: thirty seconds are thirty seconds"
            alice.connection.ping()
            for _ in range(200):
                if not alice.connection.session.unanswered:
                    break
                await deferLater(reactor, 0.05)
            assert not alice.connection.session.unanswered, f"{jump}: no pong"

    @awaited
    async def test_the_thirty_seconds_pass_while_the_clock_stands_a_day_back(self) -> None:
        await self.owner()
        stranger = self.member("stranger")
        await stranger.connect()
        self.clock.write_text("-1d\n")
        assert stranger.connection is not None
        for _ in range(36):
            await deferLater(reactor, 1)
            if not stranger.connection.connected:
                break
        assert not stranger.connection.connected
