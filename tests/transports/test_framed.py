"""The framed transport: bytes to commands and back, time limits, limits per address, full pipes."""

import hashlib
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.testing import StringTransport

from lairchat.core.admission import Admission
from lairchat.core.throttle import Rate
from lairchat.features.accounts.messages import LOGOUT, REGISTER, RESUME, Logout, Register, Resume
from lairchat.features.messages import server as messages
from lairchat.features.messages.messages import SEND, Send, Text
from lairchat.features.rooms import server as rooms
from lairchat.model import limits
from lairchat.model.ids import command_id
from lairchat.transports.framed import SWEEP_GROUPS, FramedFactory, FramedProtocol, Greeting
from lairchat.wire import codec
from lairchat.wire.objects import (
    Error,
    EventFrame,
    IdentityStatement,
    Ok,
    ServerBye,
    ServerHello,
    ServerPing,
    ServerPong,
)
from lairchat.wire.session import ClientSession
from tests.harness import Server, accounts

STATEMENT = IdentityStatement(key=bytes(32), expires=2**40, signature=bytes(64))


class Pipe(StringTransport):
    """A connection in memory."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class End:
    """The client's end of a pipe."""

    def __init__(self, world: "World", host: str = "192.0.2.7") -> None:
        self.world = world
        address = IPv4Address("TCP", host, 40_000)
        protocol = world.factory.buildProtocol(address)
        assert isinstance(protocol, FramedProtocol)
        self.protocol = protocol
        self.pipe = Pipe(peerAddress=address)
        protocol.makeConnection(self.pipe)
        self.session = ClientSession()
        self.frames: list[Any] = []

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)
        self.hear()

    def hear(self) -> None:
        """Take what the server wrote."""
        self.world.server.settle()
        data = self.pipe.value()
        self.pipe.clear()
        self.frames += self.session.receive(data)

    def greet(self) -> ServerHello:
        self.send(self.session.hello("test"))
        hello = self.frames.pop(0)
        assert isinstance(hello, ServerHello)
        return hello

    def register(self, name: str) -> None:
        secret = hashlib.sha256(name.encode()).digest()
        self.send(self.session.command(REGISTER.name, Register(name, secret))[1])
        answer = next(frame for frame in self.frames if isinstance(frame, Ok | Error))
        assert isinstance(answer, Ok), answer
        self.session.authenticated()
        self.frames.clear()

    def say(self, text: str) -> bytes:
        body = codec.encode_body(Text(text))
        key = command_id(self.world.server.now(), self.world.server.random(10))
        return self.session.command(SEND.name, Send(1, body), key)[1]

    def lose(self) -> None:
        self.protocol.connectionLost()

    @property
    def codes(self) -> list[str]:
        return [frame.code for frame in self.frames if isinstance(frame, Error | ServerBye)]


class World:
    """A factory over a whole server, in one thread."""

    def __init__(self, **bounds: Any) -> None:
        self.server = Server([accounts(), rooms.make(), messages.make()])
        self.admission = Admission(
            self.server.throttle,
            at_once=bounds.pop("at_once", 16),
            wasted=Rate(burst=bounds.pop("wasted", 32), per_second=32 / 600),
            **bounds,
        )
        greeting = Greeting(
            server="lairchat test",
            name="lair.example",
            registration="open",
            prove=self.prove,
            limits_in_force={"frame_bytes": limits.FRAME_BYTES},
        )
        self.proven: list[bytes] = []
        self.factory = FramedFactory(
            self.server.kernel, greeting, self.admission, self.server.clock
        )

    def prove(self, spki: bytes) -> IdentityStatement:
        self.proven.append(spki)
        return STATEMENT

    def sweep(self, seconds: float) -> None:
        """Let time go by with the sweep running every second, as the daemon does."""
        for _ in range(int(seconds)):
            self.server.clock.advance(1)
            self.factory.sweep()
        self.server.settle()


@pytest.fixture
def world() -> World:
    return World()


def test_hello_says_who_and_what(world: World) -> None:
    hello = End(world).greet()
    assert (hello.version, hello.server, hello.name) == (1, "lairchat test", "lair.example")
    assert hello.identity == STATEMENT
    assert hello.limits == {"frame_bytes": limits.FRAME_BYTES}
    assert hello.now == world.server.now()
    assert world.proven == [bytes(32)]  # no TLS here


def test_commands_are_answered_and_events_reach_the_other(world: World) -> None:
    alice, bob = End(world), End(world)
    for end, name in ((alice, "alice"), (bob, "bob")):
        end.greet()
        end.register(name)
    alice.hear()
    alice.frames.clear()
    alice.send(alice.say("hello"))
    bob.hear()
    assert [type(frame) for frame in alice.frames] == [Ok]
    assert [frame.name for frame in bob.frames if isinstance(frame, EventFrame)] == ["message"]


def test_ping_is_answered_and_bye_ends(world: World) -> None:
    end = End(world)
    end.greet()
    end.send(end.session.ping())
    assert isinstance(end.frames.pop(), ServerPong)
    end.send(end.session.bye())
    assert isinstance(end.frames.pop(), ServerBye)
    assert end.pipe.disconnecting
    end.protocol.close("LC-AGAIN", "twice is harmless")
    end.lose()
    assert world.factory.connections() == []


def test_what_was_sound_before_a_fault_is_carried_out(world: World) -> None:
    end = End(world)
    end.greet()
    ping = end.session.ping()
    end.send(ping + b"\x00\x00\x00\x00")
    assert isinstance(end.frames[0], ServerPong)
    assert end.codes == ["LC-FRAME-EMPTY", "LC-FRAME-EMPTY"]
    assert end.pipe.disconnecting


def test_a_stranger_has_thirty_seconds(world: World) -> None:
    end = End(world)
    end.greet()
    world.server.wait(limits.AUTHENTICATION_SECONDS - 0.1)
    assert not end.pipe.disconnecting
    world.server.wait(0.2)
    end.hear()
    assert end.codes == ["LC-TIMEOUT"]


def test_who_has_logged_in_stays_while_answering_pings(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    for _ in range(6):
        world.sweep(limits.PING_SECONDS + SWEEP_GROUPS)
        end.hear()
        for frame in end.frames:
            if isinstance(frame, ServerPing):
                end.send(end.session.pong(frame))
        end.frames.clear()
    assert not end.pipe.disconnecting


def test_silence_ends_a_session(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    world.sweep(limits.IDLE_SECONDS + SWEEP_GROUPS + 1)
    end.hear()
    assert [type(frame) for frame in end.frames if isinstance(frame, ServerPing)] == [ServerPing]
    assert end.codes == ["LC-TIMEOUT"]


def test_a_peer_that_never_reads_is_cut(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    end.protocol.pauseProducing()
    for _ in range(limits.IDLE_SECONDS + SWEEP_GROUPS + 1):
        end.protocol.heard = world.server.clock.seconds()  # it still writes
        world.sweep(1)
    assert end.pipe.aborted


def test_a_peer_that_lets_notices_pile_up_is_cut(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    end.protocol.pauseProducing()
    end.protocol.peer.push(bytes(limits.OUTBOX_CUT_BYTES))
    world.sweep(SWEEP_GROUPS)
    assert not end.pipe.aborted
    end.protocol.peer.push(b"x")
    world.sweep(SWEEP_GROUPS)
    assert end.pipe.aborted


def test_the_seventeenth_stranger_of_an_address_is_refused_before_tls(world: World) -> None:
    ends = [End(world) for _ in range(16)]
    refused = world.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
    assert refused is None
    assert world.factory.kernel.measures.limited.counts["connection"] == 1
    End(world, "192.0.2.8")
    ends[0].greet()
    ends[0].register("alice")
    End(world)  # her place among the strangers is free again
    ends[1].lose()
    End(world)


def test_connections_that_come_to_nothing_use_up_an_address() -> None:
    world = World(wasted=3)
    for _ in range(3):
        End(world).lose()
    assert world.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)) is None
    world.server.wait(600)
    End(world)


def test_breaking_the_protocol_costs_more_than_leaving() -> None:
    world = World(wasted=4)
    for _ in range(2):
        end = End(world)
        end.send(b"GET / HTTP/1.1\r\n\r\n")
        end.lose()
    assert world.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)) is None


def test_a_stranger_that_is_gone_is_kept_nowhere() -> None:
    """What it was allowed is counted by its peer, which holds on to the whole connection."""
    world = World()
    end = End(world)
    end.greet()
    end.send(end.session.command(RESUME.name, Resume(bytes(48)))[1])
    assert end.codes == ["LC-AUTH-TOKEN"]
    assert len(world.server.throttle) == 1
    end.lose()
    world.server.throttle.forget(("stranger", "192.0.2.7"))  # charged for what led nowhere
    assert len(world.server.throttle) == 0


def test_logging_in_is_never_charged() -> None:
    world = World(wasted=2)
    for number in range(5):
        end = End(world)
        end.greet()
        end.register(f"member{number}")
        end.lose()
    End(world)


def test_a_full_pipe_holds_back_what_was_read_with_it(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    flood = b"".join(end.say(str(number)) for number in range(limits.COMMANDS_IN_FLIGHT * 3))
    end.protocol.dataReceived(flood)
    assert end.pipe.producerState == "paused"
    assert end.protocol.held
    before = len(end.protocol.held)
    end.protocol.dataReceived(end.session.ping())
    assert len(end.protocol.held) == before + 1
    end.hear()
    assert end.pipe.producerState == "producing"
    answers = [frame for frame in end.frames if isinstance(frame, Ok)]
    assert [frame.id for frame in answers] == sorted(frame.id for frame in answers)
    assert len(answers) == limits.COMMANDS_IN_FLIGHT * 3
    assert any(isinstance(frame, ServerPong) for frame in end.frames)


def test_a_blocked_transport_gets_nothing_until_it_takes_more(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    end.protocol.pauseProducing()
    end.send(end.say("waits"))
    assert end.frames == []
    end.protocol.resumeProducing()
    end.hear()
    assert [type(frame) for frame in end.frames] == [Ok]
    end.protocol.stopProducing()


def test_logging_out_closes_the_connection(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    end.send(end.session.command(LOGOUT.name, Logout())[1])
    assert any(isinstance(frame, Ok) for frame in end.frames)
    assert end.pipe.disconnecting
    end.protocol.dataReceived(b"anything")
    end.lose()
    assert not world.server.hub.people


def test_who_does_not_read_the_goodbye_is_cut(world: World) -> None:
    end = End(world)
    end.greet()
    end.register("alice")
    end.send(end.session.command(LOGOUT.name, Logout())[1])
    world.sweep(limits.STOP_SECONDS - 1)
    assert not end.pipe.aborted  # as on a transport that has bytes left to send
    world.sweep(1)
    assert end.pipe.aborted


def test_who_reads_it_leaves_no_clock_behind(world: World) -> None:
    end = End(world)
    end.greet()
    end.send(end.session.bye())
    assert end.protocol in world.factory.closings
    end.lose()
    assert len(world.factory.closings) == 0


def test_nothing_follows_the_goodbye(world: World) -> None:
    end, other = End(world), End(world)
    for name, one in (("alice", end), ("bob", other)):
        one.greet()
        one.register(name)
    end.send(end.session.bye())
    other.send(other.say("is she still here?"))
    end.hear()
    assert isinstance(end.frames[-1], ServerBye)


def test_a_unix_socket_counts_as_local(world: World) -> None:
    protocol = world.factory.buildProtocol(UNIXAddress(b"/run/lair"))
    assert protocol is not None
    assert protocol.host == "local"


def test_what_comes_after_the_end_is_ignored(world: World) -> None:
    end = End(world)
    end.greet()
    end.protocol.transport = None  # as after connectionLost
    end.protocol.write(b"late")
    end.protocol.pause_reading()
    end.protocol.resume_reading()
    end.protocol.abort()
    end.protocol.close("LC-LATE", "late")
    assert end.pipe.value() == b""
