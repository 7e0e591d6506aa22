"""A network in memory: the real server's protocol and the real link, and a clock between them.

Every byte waits until the test lets time go by (``settle`` for no time at all), connections are
cut where the test says so, and a frame of the server can be held, doubled or put elsewhere.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from lairchat.client import effects, inputs
from lairchat.client.link import Link, Target
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.secret import Secret
from lairchat.client.tls import verify_identity
from lairchat.core.admission import Admission
from lairchat.core.throttle import Rate, Throttle
from lairchat.e2ee.telling import told
from lairchat.features.accounts.rules import Registration
from lairchat.features.accounts.server import create_owner_invite
from lairchat.features.delivery import server as delivery_server
from lairchat.features.identities import server as identities_server
from lairchat.features.inbox import server as inbox_server
from lairchat.features.joining import server as joining_server
from lairchat.features.keepsakes import server as keepsakes_server
from lairchat.features.key_packages import server as key_packages_server
from lairchat.features.messages import server as messages_server
from lairchat.features.moderation import server as moderation_server
from lairchat.features.muting import server as muting_server
from lairchat.features.presence import server as presence_server
from lairchat.features.reading import server as reading_server
from lairchat.features.reports import server as reports_server
from lairchat.features.rooms import server as rooms_server
from lairchat.features.transfer import server as transfer_server
from lairchat.model import faults, limits
from lairchat.model.identity import ServerId
from lairchat.transports.framed import FramedFactory, Greeting
from lairchat.transports.identity import ServerIdentity
from lairchat.trust.password import Keys
from tests.harness import Server, accounts, predictable, secret_of

HOST, PORT = "chat.example.org", 7023
IDENTITY = ServerIdentity(Ed25519PrivateKey.from_private_bytes(b"1" * 32))
STRANGER = ServerIdentity(Ed25519PrivateKey.from_private_bytes(b"2" * 32))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where profiles are kept: each of them has a store that waits for its disk."""
KEY_PACKAGES = limits.KEY_PACKAGES_LOW + 2
"""How many each device brings to the server: to make as many as people have takes a test's time."""
SPKI = bytes(32)  # what FramedProtocol takes for the key of a connection without TLS

Tamper = Callable[[list[bytes]], list[bytes]]


@implementer(IConsumer)
class End:
    """One end of a connection: the transport of the protocol there."""

    def __init__(self, pipe: "Pipe") -> None:
        self.pipe = pipe
        self.protocol = None
        self.other: End = self
        self.inbox: list[bytes] = []
        self.paused = False
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        if self.pipe.open and not self.disconnecting:
            self.other.inbox.append(data)
            self.pipe.later()

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.pipe.later()

    def abortConnection(self) -> None:
        self.pipe.cut()

    def registerProducer(self, producer, streaming) -> None:
        assert streaming

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.pipe.later()


class Pipe:
    """A connection.

    tamper: does with the server's frames of one moment what it likes.
    frames: how many frames the server has sent on it; limit: after so many it is cut.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.open = True
        self.client, self.server = End(self), End(self)
        self.client.other, self.server.other = self.server, self.client
        self.tamper: Tamper | None = None
        self.frames = 0
        self.limit: int | None = None
        self.said: list[bytes] = []
        self._scheduled = False
        self._rest = b""

    def later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.clock.callLater(0, self.pump)

    def pump(self) -> None:
        self._scheduled = False
        if not self.open:
            return
        server, client = self.server, self.client
        if server.inbox and not server.paused:
            data, server.inbox = b"".join(server.inbox), []
            self.said.append(data)
            server.protocol.dataReceived(data)
        if client.inbox and self.open:
            data, client.inbox = b"".join(client.inbox), []
            self._to_client(data)
        if not self.open:
            return
        if client.inbox or (server.inbox and not server.paused):
            self.later()
        elif client.disconnecting or server.disconnecting:
            self.close(ConnectionDone())

    def _to_client(self, data: bytes) -> None:
        frames = self._split(data)
        self.frames += len(frames)
        if self.limit is not None and self.frames > self.limit:
            frames = frames[: len(frames) - (self.frames - self.limit)]
            for frame in frames:
                self.client.protocol.dataReceived(frame)
            self.cut()
            return
        if self.tamper is not None:
            frames = self.tamper(frames)
        if frames:
            self.client.protocol.dataReceived(b"".join(frames))

    def _split(self, data: bytes) -> list[bytes]:
        rest, frames = self._rest + data, []
        while len(rest) >= 4 and len(rest) >= 4 + int.from_bytes(rest[:4], "big"):
            size = 4 + int.from_bytes(rest[:4], "big")
            frames.append(rest[:size])
            rest = rest[size:]
        self._rest = rest
        return frames

    def cut(self) -> None:
        """End it without a word to anybody."""
        self.close(ConnectionLost())

    def close(self, why: Exception) -> None:
        if self.open:
            self.open = False
            for end in (self.client, self.server):
                end.protocol.connectionLost(Failure(why))


class Network:
    """A server that can be started, killed and impersonated, and the connections to it."""

    def __init__(self, *, registration=Registration.OPEN, rates=None, url="sqlite://") -> None:
        self.clock = Clock()
        self.registration = registration
        self.rates = rates
        self.url = url
        self.identity = IDENTITY
        self.pipes: list[Pipe] = []
        self.refusal = None
        self.slow = False
        self.waiting: list[Deferred[None]] = []
        self.dialled = 0
        self.limit: int | None = None
        self.tamper: Tamper | None = None
        self._drawn = 0
        self.up()

    def up(self) -> None:
        features = [
            accounts(self.registration),
            rooms_server.make(),
            messages_server.make(),
            moderation_server.make(),
            muting_server.make(),
            presence_server.make(self.clock),
            transfer_server.make(),
            identities_server.make(lambda: ServerId.of_key(IDENTITY.public_key)),
            key_packages_server.make(),
            keepsakes_server.make(),
            reading_server.make(),
            reports_server.make(told),
            inbox_server.make(),
            delivery_server.make(lambda: IDENTITY),
            joining_server.make(lambda: IDENTITY),
        ]
        self.server = Server(features, rates=self.rates, url=self.url, clock=self.clock)
        greeting = Greeting(
            server="lair",
            name="lair",
            registration=self.registration.value,
            prove=lambda spki: self.identity.statement(spki, self.server.now()),
            limits_in_force={},
        )
        plenty = Rate(burst=100_000, per_second=100_000)
        admission = Admission(Throttle(self.clock.seconds), at_once=1000, wasted=plenty)
        self.factory = FramedFactory(self.server.kernel, greeting, admission, self.clock)
        self.running = True

    def down(self) -> None:
        """Kill the server: what is on disk stays, everything else is gone."""
        self.running = False
        for pipe in self.pipes:
            pipe.cut()
        self.server.close()

    def drawn(self) -> int:
        """Return a number that nothing else has here: no two clients draw the same bytes."""
        self._drawn += 1
        return self._drawn

    def owner_code(self) -> str:
        """Return the code that makes the owner."""
        server = self.server
        return server.change(
            lambda connection: create_owner_invite(connection, server.now(), server.random)
        )

    def connect(self, protocol) -> Pipe:
        pipe = Pipe(self.clock)
        self.pipes = [one for one in self.pipes if one.open] + [pipe]
        pipe.limit, pipe.tamper = self.limit, self.tamper
        server = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        pipe.client.protocol, pipe.server.protocol = protocol, server
        server.makeConnection(pipe.server)
        protocol.makeConnection(pipe.client)
        return pipe

    def settle(self) -> None:
        self.server.settle()

    def wait(self, seconds: float) -> None:
        """Let time go by, an eighth of a second at a time."""
        self.settle()
        while seconds > 0:
            self.clock.advance(min(seconds, 0.125))
            self.settle()
            seconds -= 0.125

    @property
    def pipe(self) -> Pipe:
        """The newest connection."""
        return self.pipes[-1]


class Dialer:
    """Dials in memory, with keys that cost nothing."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.vouched = False

    async def dial(self, host, port, connection) -> bytes:
        network = self.network
        network.dialled += 1
        if network.slow:
            waiting: Deferred[None] = Deferred()
            network.waiting.append(waiting)
            await waiting
        if network.refusal is not None:
            raise network.refusal
        if not network.running:
            raise faults.NetRefused(address=f"{host}:{port}", host=host)
        network.connect(connection)
        return SPKI

    def prove(self, host, hello, spki_sha256):
        return verify_identity(host, hello.identity, spki_sha256, self.network.server.now())

    def derive(self, password, server, name):
        return succeed(Keys(secret_of(password), b"v" * 32))


class NoKeyring(Keyring):
    """A system that keeps no keys: each start asks for the password."""

    def __init__(self) -> None:
        self._library = None


class Person:
    """Somebody with a link: takes its inputs as the core would, and holds it to its promises.

    shown: per room what is on the screen, by sequence.
    """

    def __init__(self, network: Network, root: Path, name: str, **target) -> None:
        self.network = network
        self.root = root
        self.name = name
        self.inputs: list[inputs.Input] = []
        self.shown: dict[int, dict[int, inputs.Message]] = {}
        self.order: dict[int, list[int]] = {}
        self.acknowledged: dict[int, int] = {}
        self.refused: dict[int, str] = {}
        self.answers: dict[int, list[inputs.Input]] = {}
        self.tickets = 0
        self.refs = 0
        self.asleep = 0.0  # for how long the computer has slept
        self.dialer = Dialer(network)
        self.link = self.make_link(**target)

    def make_link(self, **target) -> Link:
        return Link(
            self.network.clock,
            self.dialer,
            Target(HOST, PORT, **target),
            KnownServers(self.root),
            lambda server, account: Profile(self.root, server, account),
            deliver=self.take,
            now=self.network.server.now,
            random=predictable(f"{self.name} {self.network.drawn()}"),
            user_name=self.name,
            asleep=lambda: self.asleep,
            keyring=NoKeyring(),
        )

    # -- what the core does with what it gets

    def take(self, one: inputs.Input) -> None:
        self.inputs.append(one)
        ref = getattr(one, "ref", 0)
        if ref:
            self.answers.setdefault(ref, []).append(one)
        match one:
            case inputs.RoomsSynced(rooms):
                known = {info.id for info in rooms}
                for room in set(self.order) - known:
                    self.order.pop(room), self.shown.pop(room)
                for info in rooms:
                    self._room(info.id)
            case inputs.RoomJoined(info):
                self._room(info.id)
            case inputs.MessageArrived(room, message) if room in self.order:
                self._show(room, message)
            case inputs.SendAcknowledged(ticket, seq):
                assert ticket not in self.acknowledged, "acknowledged twice"
                self.acknowledged[ticket] = seq
            case inputs.SendRefused(ticket, code, _, None):
                self.refused[ticket] = code
            case inputs.HistoryPage(room, messages, replace=True) if room in self.order:
                self.order[room].extend(m.seq for m in messages if m.seq not in self.shown[room])
                self.shown[room].update((message.seq, message) for message in messages)

    def _room(self, room: int) -> None:
        self.order.setdefault(room, [])
        self.shown.setdefault(room, {})

    def _show(self, room: int, message: inputs.Message) -> None:
        assert message.seq not in self.order[room], f"{message.seq} is shown twice"
        before = max(self.order[room], default=0)
        assert message.seq > before, f"{message.seq} is shown after {before}"
        self.order[room].append(message.seq)
        self.shown[room][message.seq] = message

    # -- what a test does

    def settle(self) -> None:
        self.network.settle()

    def start(self) -> "Person":
        self.link.start()
        self.settle()
        return self

    def register(self, password: str | None = None, invite: str = "") -> None:
        self.do(effects.Register(self.name, Secret(password or self.name), invite))

    def login(self, password: str | None = None) -> None:
        self.do(effects.Login(self.name, Secret(password or self.name)))

    def trust(self) -> None:
        self.do(effects.TrustAnswer(True))

    def enter(self, invite: str = "") -> "Person":
        """Come in for the first time: trust, register, land in the lobby."""
        self.start()
        self.trust()
        self.register(invite=invite)
        assert self.link.online, self.inputs
        return self

    def do(self, effect: effects.Effect) -> None:
        self.link.perform(effect)
        self.settle()

    def request(self, kind, *arguments):
        """Perform an effect with a fresh ref; return what answers it."""
        self.refs += 1
        self.do(kind(self.refs, *arguments))
        return self.answer(self.refs)

    def answer(self, ref: int) -> inputs.Input:
        found = self.answers.get(ref, [])
        assert len(found) == 1, f"{len(found)} answers: {found}"
        return found[0]

    def say(self, text: str, room: int | None = None, *, action: bool = False) -> int:
        self.tickets += 1
        self.link.perform(effects.Send(self.tickets, room or self.lobby, text, action))
        return self.tickets

    @property
    def lobby(self) -> int:
        return self.room("lobby")

    def room(self, name: str) -> int:
        return next(room for room, info in self.link.rooms.infos.items() if info.name == name)

    def of(self, kind):
        """Return the inputs of one kind, in order."""
        return [one for one in self.inputs if isinstance(one, kind)]

    def last(self, kind):
        return self.of(kind)[-1]

    def kinds(self) -> list[str]:
        return [type(one).__name__ for one in self.inputs]

    def texts(self, room: int | None = None) -> list[str]:
        """Return what was said in a room, as far as this person has it on the screen."""
        shown = self.shown[room or self.lobby]
        return [shown[seq].text for seq in sorted(shown) if shown[seq].kind == "text"]

    def leave(self) -> None:
        self.network.server.result(self.link.stop())


class NetworkTest(TestCase):
    """A test with a network, and people on it."""

    options: dict = {}

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="lair-test-", dir=MEMORY)
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.patch(limits, "KEY_PACKAGES", KEY_PACKAGES)
        self.network = Network(**self.network_options())
        self.people: list[Person] = []
        self.addCleanup(self.end)

    def network_options(self):
        return self.options

    def end(self) -> None:
        self.network.slow = False
        for person in self.people:
            person.link.stop()
        self.network.wait(2)
        left = [str(call) for call in self.network.clock.getDelayedCalls() if call.active()]
        if self.network.running:
            self.network.server.close()
        # By its text a call is the client's, or whoever waits for a while.
        ours = ("lairchat.client", "Deferred.callback")
        assert not [one for one in left if any(part in one for part in ours)], left

    def person(self, name: str, **target) -> Person:
        """Return somebody who has not come in yet."""
        person = Person(self.network, self.root / name, name, **target)
        self.people.append(person)
        return person

    def again(self, person: Person, **target) -> Person:
        """Return the same person after the client was closed and is opened again."""
        person.leave()
        return self.reopened(person, **target)

    def reopened(self, person: Person, **target) -> Person:
        target.setdefault("account", person.name)
        other = Person(self.network, person.root, person.name, **target)
        self.people.append(other)
        return other

    def settle(self) -> None:
        self.network.settle()
