"""Conch's own client and the operators' door, with nothing between them but memory and a clock."""

import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from lairchat.core.admission import Admission
from lairchat.core.portal import Caller, KnownKey
from lairchat.core.throttle import Rate, Throttle
from lairchat.model.ids import UserId
from lairchat.model.roles import ServerRole
from lairchat.transports.ssh import OperatorTransport, SshFactory
from lairchat.transports.ssh_keys import HostKey

HOST = "192.0.2.7"
WASTED = Rate(burst=32, per_second=0.05)


def new_key() -> Key:
    return Key(Ed25519PrivateKey.generate())


class Pipe:
    """One end's transport: what it writes waits until the test lets it through."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.waiting = b""
        self.closed = False
        self.aborted = False
        self.paused = False
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        self.waiting += data

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        assert self.producer is None, "TCP would wait for the producer for ever"
        self.closed = True

    def abortConnection(self) -> None:
        self.closed = self.aborted = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def getPeer(self) -> Any:
        return IPv4Address("TCP", HOST, 40_000)

    getHost = getPeer

    def setTcpNoDelay(self, _on: bool) -> None:
        pass


class Client(SSHClientTransport):
    """A client; ``key`` None: it goes no further than the key exchange."""

    def __init__(self, name: bytes, key: Key | None) -> None:
        self.name = name
        self.key = key
        self.auth: Any = None
        self.service_wanted = SSHConnection()
        self.goodbye: bytes | None = None
        self.host_key = b""

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> "Deferred[bool]":
        self.host_key = hostKey
        return succeed(True)

    def connectionSecure(self) -> None:
        if self.key is not None and self.auth is None:  # again after each exchange of keys
            self.auth = Offer(self.name, self.key, self.service_wanted)
            self.requestService(self.auth)

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        self.goodbye = description

    @property
    def inside(self) -> bool:
        return self.service is self.service_wanted


class Offer(SSHUserAuthClient):
    """Offers one key, once."""

    def __init__(self, name: bytes, key: Key, service: SSHConnection) -> None:
        super().__init__(name, service)
        self._key = key
        self.offered = False
        self.banners: list[bytes] = []

    def getPublicKey(self) -> Key | None:
        if self.offered:
            return None
        self.offered = True
        return self._key.public()

    def getPrivateKey(self) -> "Deferred[Key]":
        return succeed(self._key)

    def ssh_USERAUTH_BANNER(self, packet: bytes) -> None:
        self.banners.append(packet)


class Channel(SSHChannel):
    """A session of the client, and all that came of it."""

    name = b"session"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.out = b""
        self.err = b""
        self.status: int | None = None
        self.open = False
        self.refused: Any = None
        self.is_closed = False

    def channelOpen(self, data: bytes) -> None:
        self.open = True

    def openFailed(self, reason: Any) -> None:
        self.refused = reason

    def dataReceived(self, data: bytes) -> None:
        self.out += data

    def extReceived(self, kind: int, data: bytes) -> None:
        self.err += data

    def request_exit_status(self, data: bytes) -> int:
        (self.status,) = struct.unpack(">L", data)
        return 1

    def closed(self) -> None:
        self.is_closed = True

    @property
    def text(self) -> str:
        return self.out.decode()


class Link:
    """A client, a server's transport, and what goes between them."""

    def __init__(self, factory: SshFactory, client: Any, host: str = HOST) -> None:
        self.there, self.here = Pipe(), Pipe()
        self.client = client
        transport = factory.buildProtocol(IPv4Address("TCP", host, 40_000))
        assert transport is not None, "the connection was not accepted"
        self.server: OperatorTransport = transport
        self.over = False
        self.here.protocol, self.there.protocol = transport, client
        transport.makeConnection(self.here)
        if client is not None:
            client.makeConnection(self.there)

    def pump(self) -> None:
        """Let through what waits, until nothing does."""
        while self._once():
            pass

    def _once(self) -> bool:
        moved = False
        if self.there.waiting and not self.here.paused and not self.over:
            data, self.there.waiting = self.there.waiting, b""
            self.server.dataReceived(data)
            moved = True
        if self.here.waiting and not self.here.aborted:
            data, self.here.waiting = self.here.waiting, b""
            if self.client is not None:
                self.client.dataReceived(data)
            moved = True
        if (self.here.closed or self.there.closed) and not self.over:
            self.over = True
            why = ConnectionAborted() if self.here.aborted else ConnectionDone()
            self.server.connectionLost(Failure(why))
            if self.client is not None:
                self.client.connectionLost(Failure(why))
        return moved


class SshCase(TestCase):
    """A door whose keys, programs and bans a test decides about."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock.seconds)
        self.admission = Admission(self.throttle, at_once=16, wasted=WASTED)
        self.key = new_key()
        self.known: dict[tuple[str, bytes], Caller] = {}
        self.refusal: Exception | None = None
        self.banned: dict[str, Any] = {}
        self.know("alice", self.key)
        self.factory = SshFactory(
            HostKey(new_key()),
            prove=self.prove,
            programs=self.make_programs(),
            admission=self.admission,
            throttle=self.throttle,
            banned=self.banned.get,
            clock=self.clock,
        )
        self.links: list[Link] = []

    def tearDown(self) -> None:
        for link in self.links:
            link.here.closed = True
            link.here.unregisterProducer()
            link.pump()
        self.assertEqual(list(self.factory.live), [])
        self.assertEqual(len(self.factory.strangers), 0)
        self.assertEqual(len(self.factory.closings), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make_programs(self) -> Any:
        """Return what runs commands; each case has its own."""
        raise NotImplementedError

    def know(self, name: str, key: Key, role: ServerRole = ServerRole.OWNER, user: int = 1) -> None:
        self.known[name, key.public().blob()] = Caller(UserId(user), name, role)

    def prove(self, key: KnownKey) -> "Deferred[Caller]":
        if self.refusal is not None:
            return fail(self.refusal)
        found = self.known.get((key.name, key.blob))
        return succeed(found) if found is not None else fail(UnauthorizedLogin())

    def link(self, client: Any = None, host: str = HOST) -> Link:
        link = Link(self.factory, client, host)
        self.links.append(link)
        self.pump()
        return link

    def pump(self) -> None:
        """Let everything happen that can happen without time going by."""
        for _ in range(20):
            for link in self.links:
                link.pump()
            self.clock.advance(0)

    def come_in(self, name: str = "alice", key: Key | None = None) -> Link:
        link = self.link(Client(name.encode(), key or self.key))
        self.assertTrue(link.client.inside, link.client.goodbye)
        return link

    def session(self, link: Link, **more: Any) -> Channel:
        channel = Channel(**more)
        channel.conn = link.client.service
        link.client.service.openChannel(channel)
        self.pump()
        return channel

    def ask(self, channel: Channel, request: bytes, data: bytes = b"") -> bool:
        """Make a request on a session, and say whether it was granted."""
        answers: list[bool] = []
        asked = channel.conn.sendRequest(channel, request, data, wantReply=1)
        asked.addCallbacks(lambda _: answers.append(True), lambda _: answers.append(False))
        self.pump()
        self.assertEqual(len(answers), 1)
        return answers[0]

    def execute(self, link: Link, line: str) -> Channel:
        channel = self.session(link)
        self.assertTrue(self.ask(channel, b"exec", NS(line.encode())))
        return channel

    def terminal(self, link: Link, columns: int = 80, rows: int = 24, **more: Any) -> Channel:
        channel = self.session(link, **more)
        self.assertTrue(self.ask(channel, b"pty-req", terminal_request(columns, rows)))
        return channel


def terminal_request(columns: int, rows: int) -> bytes:
    return NS(b"xterm-256color") + struct.pack(">4L", columns, rows, 0, 0) + NS(b"\0")
