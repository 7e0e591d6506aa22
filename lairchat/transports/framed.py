"""Carries lair/1 between a TLS connection and the kernel: bytes in, commands out, and back.

Promises not to know: what any command does, what is stored, who hears an event.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IConsumer,
    IHandshakeListener,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.core.admission import Admission, source_of
from lairchat.core.kernel import Kernel
from lairchat.core.peer import Peer
from lairchat.model import limits, refusals
from lairchat.transports.deadlines import Deadlines
from lairchat.transports.tls import tls_facts
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import (
    ClientBye,
    ClientFrame,
    ClientHello,
    CommandFrame,
    IdentityStatement,
    Ping,
    Pong,
    ServerHello,
)
from lairchat.wire.session import ServerSession

#: Connections are looked at in this many groups, one a second, so that a thousand idle ones
#: cost a few microseconds at a time and no timer each.
SWEEP_GROUPS = 30


class Greeting:
    """What the server says of itself in its hello.

    prove: SHA-256 of the TLS leaf's SPKI -> signed identity statement.
    """

    def __init__(
        self,
        *,
        server: str,
        name: str,
        registration: str,
        prove: Callable[[bytes], IdentityStatement],
        limits_in_force: dict[str, int],
    ) -> None:
        self.server = server
        self.name = name
        self.registration = registration
        self.prove = prove
        self.limits_in_force = limits_in_force

    def hello(self, version: int, spki_sha256: bytes, now: int) -> ServerHello:
        """Build the hello for one connection."""
        return ServerHello(
            version=version,
            server=self.server,
            name=self.name,
            now=now,
            identity=self.prove(spki_sha256),
            registration=self.registration,
            limits=self.limits_in_force,
        )


@implementer(IPushProducer, IHandshakeListener)
class FramedProtocol(Protocol):
    """One client's connection: the kernel's :class:`~lairchat.core.peer.Wire`."""

    __slots__ = (
        "closing",
        "connected",
        "factory",
        "group",
        "heard",
        "held",
        "host",
        "peer",
        "proven",
        "session",
        "transport",
    )

    factory: "FramedFactory"
    group: int

    def __init__(self, factory: "FramedFactory", host: str) -> None:
        self.factory = factory
        self.host = host
        self.session = ServerSession()
        now = factory.clock.seconds()
        self.peer = Peer(factory.kernel.hub, self, host, now)
        self.heard = now
        self.proven = False
        self.closing = False
        self.held: list[Any] | None = None

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Start the clock of authentication and ask to be told when the peer does not read."""
        self.factory.strangers.add(self)
        assert self.transport is not None
        IConsumer(self.transport).registerProducer(self, True)

    def handshakeCompleted(self) -> None:
        """Nothing to do: the client speaks first."""

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; every frame in them becomes a call to the kernel, in order."""
        self.heard = self.factory.clock.seconds()
        try:
            frames = self.session.receive(data)
        except ProtocolError as error:
            # What was sound before the fault is carried out: only the fault ends the session.
            self._take(list(error.before))
            self._broke(error)
            return
        if self.held:
            self.held.extend(frames)
        else:
            self._take(frames)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Forget the connection everywhere."""
        self.held = None
        self.factory.gone(self)

    def pauseProducing(self) -> None:
        """Note that the peer does not read as fast as we write (called by the transport)."""
        self.peer.block(self.factory.clock.seconds())

    def resumeProducing(self) -> None:
        """Note that the transport's buffer is empty again (called by the transport)."""
        self.peer.unblock()

    def stopProducing(self) -> None:
        """Nothing to stop: connectionLost follows."""

    # -- what the kernel calls

    def write(self, data: bytes) -> None:
        """Send framed bytes; nothing follows our goodbye."""
        if self.transport is not None and not self.closing:
            self.transport.write(data)

    def pause_reading(self) -> None:
        """Read nothing more; what was read already is held back."""
        if self.transport is not None and not self.closing:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def resume_reading(self) -> None:
        """Go on with what was held back, then read again."""
        held, self.held = self.held, None
        if held:
            self._take(held)
        if not self.peer.reading_paused and self.transport is not None and not self.closing:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def close(self, code: str, text: str) -> None:
        """Say why, and close once that is sent."""
        if self.closing or self.transport is None:
            return
        self.closing = True
        self.held = None
        self.transport.write(self.session.bye(code, text))
        IConsumer(self.transport).unregisterProducer()
        self.factory.closings.add(self)
        self.transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection; a peer that does not read would never see a goodbye."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def authenticated(self) -> None:
        """Allow larger frames, and stop counting this connection as a stranger's."""
        self.session.authenticated()
        if not self.proven:
            self.proven = True
            self.factory.known(self)

    # -- frames

    def _take(self, frames: list[Any]) -> None:
        for index, frame in enumerate(frames):
            if self.closing:
                return
            if self.peer.reading_paused:
                # A full pipe: the rest of this chunk waits, so that pipelining is bounded too.
                self.held = frames[index:]
                return
            self._handle(frame)

    def _handle(self, frame: ClientFrame) -> None:
        match frame:
            case CommandFrame():
                self.factory.kernel.receive(self.peer, frame)
            case Ping():
                self.peer.push(self.session.pong(frame))
            case Pong():
                pass
            case ClientHello():
                self._greet()
            case ClientBye():
                self.peer.flush()
                self.close("LC-BYE", "goodbye")

    def _greet(self) -> None:
        facts = tls_facts(self.transport)
        spki = facts.spki_sha256 if facts is not None else bytes(32)
        greeting, now = self.factory.greeting, self.factory.kernel.now()
        self.peer.push(self.session.send(greeting.hello(self.session.version, spki, now)))

    def _broke(self, error: ProtocolError) -> None:
        """Tell a peer that broke the protocol so, and close: what follows cannot be trusted."""
        self.factory.broke(self, error)
        self.peer.flush()
        if self.transport is not None and not self.closing:
            self.transport.write(self.session.fail(error))
        self.close(error.code, error.text)


@implementer(IProtocolFactory)
class FramedFactory(Factory):
    """Makes a protocol for each connection and looks after their time limits.

    Everything with a time limit goes through two tables and one sweep; no connection has a timer
    of its own, because ten thousand idle ones have to cost next to nothing.
    """

    noisy = False
    log = Logger()

    def __init__(
        self, kernel: Kernel, greeting: Greeting, admission: Admission, clock: IReactorTime
    ) -> None:
        self.kernel = kernel
        self.greeting = greeting
        self.admission = admission
        self.clock = clock
        self.strangers = Deadlines[FramedProtocol](clock, limits.AUTHENTICATION_SECONDS, _too_slow)
        # TLS cuts who does not read the goodbye; on a Unix socket nobody else would.
        self.closings = Deadlines[FramedProtocol](clock, limits.STOP_SECONDS, FramedProtocol.abort)
        self._groups: list[dict[FramedProtocol, None]] = [{} for _ in range(SWEEP_GROUPS)]
        self._turn = 0
        kernel.bans.watchers.append(self._close_banned)

    def buildProtocol(self, addr: Any) -> FramedProtocol | None:  # type: ignore[override]
        """Accept a connection, unless its source is banned or has too many."""
        host = getattr(addr, "host", "") or "local"
        if self.kernel.bans.refuses(host) is not None or self.admission.arrive(host) is not None:
            self.kernel.measures.limited.add("connection")
            return None
        protocol = FramedProtocol(self, host)
        smallest = min(range(SWEEP_GROUPS), key=lambda index: len(self._groups[index]))
        protocol.group = smallest
        self._groups[smallest][protocol] = None
        return protocol

    def connections(self) -> list[FramedProtocol]:
        """Return all live connections."""
        return [protocol for group in self._groups for protocol in group]

    def known(self, protocol: FramedProtocol) -> None:
        """Note that a connection has authenticated."""
        self.strangers.discard(protocol)
        self.admission.authenticated(protocol.host)

    def gone(self, protocol: FramedProtocol) -> None:
        """Forget a connection that has closed."""
        self._groups[protocol.group].pop(protocol, None)
        self.strangers.discard(protocol)
        self.closings.discard(protocol)
        if not protocol.proven:
            self.admission.leave(protocol.host)
        self.kernel.gone(protocol.peer)

    def broke(self, protocol: FramedProtocol, error: ProtocolError) -> None:
        """Log and charge a source that broke the protocol."""
        self.admission.penalise(protocol.host)
        self.log.info(
            "protocol error {code} from {source}", code=error.code, source=source_of(protocol.host)
        )

    def _close_banned(self) -> None:
        """Close the connections from addresses that have been banned since they came."""
        for protocol in self.connections():
            refusal = self.kernel.bans.refuses(protocol.host)
            if refusal is not None:
                protocol.peer.flush()
                protocol.close(refusal.code, refusal.text)
                self.kernel.hub.detach(protocol.peer)

    def sweep(self) -> None:
        """Look after one group of connections: pings, dead ones, those that do not read."""
        now = self.clock.seconds()
        self._turn = (self._turn + 1) % SWEEP_GROUPS
        for protocol in list(self._groups[self._turn]):
            self._look_after(protocol, now)

    def _look_after(self, protocol: FramedProtocol, now: float) -> None:
        peer = protocol.peer
        if peer.session is None:
            return
        stuck = peer.blocked and now - peer.blocked_since > limits.IDLE_SECONDS
        if stuck or peer.outbox_bytes > limits.OUTBOX_CUT_BYTES:
            # It does not read: abort, an orderly goodbye would wait behind the rest.
            protocol.abort()
        elif now - protocol.heard > limits.IDLE_SECONDS:
            _too_slow(protocol)
        elif now - protocol.heard > limits.PING_SECONDS and not protocol.session.unanswered:
            peer.push(protocol.session.ping())


def _too_slow(protocol: FramedProtocol) -> None:
    refusal = refusals.TimedOut()
    protocol.close(refusal.code, refusal.text)
