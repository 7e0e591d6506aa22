"""Replacing a remembered identity: nothing is replaced that was not proven and agreed to."""

import io

from twisted.internet.defer import Deferred

from lairchat.client.link import Target
from lairchat.client.profile import KnownServers
from lairchat.client.serverkey import replace
from lairchat.model import faults, limits
from tests.client.network import HOST, IDENTITY, PORT, STRANGER, Dialer, NetworkTest


class Replacing(NetworkTest):
    def setUp(self):
        super().setUp()
        self.known = KnownServers(self.root)
        self.known.remember(HOST, PORT, IDENTITY.id)
        self.out = io.StringIO()

    def replacing(self, answer=""):
        network = self.network
        target = Target(HOST, PORT)
        return Deferred.fromCoroutine(
            replace(
                network.clock, Dialer(network), self.known, target, io.StringIO(answer), self.out
            )
        )

    def test_the_same(self):
        done = self.replacing()
        self.settle()
        assert self.successResultOf(done) == 0
        assert self.out.getvalue().startswith("unchanged")

    def test_another(self):
        self.network.identity = STRANGER
        for answer, status, pinned in (
            ("y\n", 77, IDENTITY.id),
            ("", 77, IDENTITY.id),
            ("yes\n", 0, STRANGER.id),
        ):
            done = self.replacing(answer)
            self.settle()
            assert self.successResultOf(done) == status
            assert self.known.pin(HOST, PORT) == pinned
        assert IDENTITY.id.fingerprint in self.out.getvalue()
        assert STRANGER.id.fingerprint in self.out.getvalue()

    def test_a_server_that_says_nothing(self):
        """It is waited for as long as for a connection, and let go."""
        self.network.tamper = lambda frames: []
        done = self.replacing("yes\n")
        self.network.wait(limits.DIAL_SECONDS - 1)
        self.assertNoResult(done)
        self.network.wait(2)
        self.failureResultOf(done, faults.NetTimeout)
        assert self.known.pin(HOST, PORT) == IDENTITY.id
        assert not [pipe for pipe in self.network.pipes if pipe.open]

    def test_a_statement_that_proves_nothing(self):
        dialer = Dialer(self.network)

        async def dial(host, port, connection):
            self.network.connect(connection)
            return b"x" * 32

        dialer.dial = dial
        done = Deferred.fromCoroutine(
            replace(
                self.network.clock,
                dialer,
                self.known,
                Target(HOST, PORT),
                io.StringIO("yes\n"),
                self.out,
            )
        )
        self.settle()
        self.failureResultOf(done, faults.TlsIdentity)
        assert self.out.getvalue() == ""
        assert not [pipe for pipe in self.network.pipes if pipe.open]
