"""One connection to a server for programs: greets, proves, asks and listens.

What the curses client, the headless commands, the demo and the tests all stand on.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat import __version__
from lairchat.model.faults import NetLost
from lairchat.model.refusal import Refusal, received
from lairchat.wire import codec
from lairchat.wire.contract import Command, EventType
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import (
    Error,
    EventFrame,
    Ok,
    ServerBye,
    ServerFrame,
    ServerHello,
    ServerPing,
    ServerPong,
)
from lairchat.wire.session import ClientSession, SessionStage

Rep = TypeVar("Rep", bound=msgspec.Struct)

CLIENT = f"lair {__version__}"


class Connection(Protocol):
    """The client's end of a lair/1 connection.

    events: the event types that this program knows, by name; others are ignored.
    on_event: called with the event's name and body, in order.
    on_lost: called once, with the reason, when the connection is gone.
    on_latency: called with the seconds of each round trip that was measured.
    heard: when the server said something last, by the clock.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        events: dict[str, EventType[Any]],
        on_event: Callable[[str, Any], None],
        on_lost: Callable[[Refusal], None],
    ) -> None:
        self.clock = clock
        self.session = ClientSession()
        self.hello: ServerHello | None = None
        self.where = "the server"
        self.latency: float | None = None
        self._events = events
        self._on_event = on_event
        self._on_lost = on_lost
        self.on_latency: Callable[[float], None] | None = None
        self._greeted: Deferred[ServerHello] | None = None
        self._waiting: dict[int, tuple[Command[Any, Any], Deferred[Any], float]] = {}
        self._pinged_at = 0.0
        self.heard = 0.0
        self._reason: Refusal | None = None

    # -- asking

    def greet(self) -> "Deferred[ServerHello]":
        """Say hello and wait for the server's; nothing else may be said before its proof is checked."""
        greeted = self._greeted = Deferred()
        if not self.connected:
            self._greeted = None
            greeted.errback(self._lost())
        else:
            self._write(self.session.hello(CLIENT))
        return greeted

    def call(
        self, command: Command[Any, Rep], request: msgspec.Struct, key: bytes | None = None
    ) -> "Deferred[Rep]":
        """Ask, and get the reply, or a Refusal: the server's, or LC-NET-LOST."""
        answer: Deferred[Rep] = Deferred()
        if not self.connected or self.session.stage >= SessionStage.CLOSING:
            answer.errback(self._lost())
            return answer
        number, data = self.session.command(command.name, request, key)
        self._waiting[number] = (command, answer, self.clock.seconds())
        self._write(data)
        return answer

    def authenticated(self) -> None:
        """Note that this connection is logged in: larger frames are allowed."""
        self.session.authenticated()

    def ping(self) -> None:
        """Measure the round trip; the answer sets ``latency`` (seconds)."""
        if self.connected and self.hello is not None and not self.session.unanswered:
            self._pinged_at = self.clock.seconds()
            self._write(self.session.ping())

    @property
    def waiting_for(self) -> float:
        """Seconds for which the oldest question has been waiting; 0 without one."""
        asked = next((at for _, _, at in self._waiting.values()), None)
        return 0.0 if asked is None else self.clock.seconds() - asked

    def leave(self) -> None:
        """Say goodbye and close in order."""
        if self.connected and self.transport is not None:
            self._write(self.session.bye())
            self.transport.loseConnection()

    def abort(self, reason: Refusal) -> None:
        """Cut the connection for this reason."""
        self._reason = self._reason or reason
        if self.connected and self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    # -- what Twisted calls

    def connectionMade(self) -> None:
        """Note the time."""
        self.heard = self.clock.seconds()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; every frame in them is handled in order."""
        self.heard = self.clock.seconds()
        try:
            self._receive(data)
        except ProtocolError as error:
            self._broke(error)

    def _receive(self, data: bytes) -> None:
        try:
            frames = self.session.receive(data)
        except ProtocolError as error:
            for frame in error.before:
                self._handle(frame)  # type: ignore[arg-type]
            raise
        for frame in frames:
            self._handle(frame)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Tell everybody who waits."""
        self.connected = 0  # Twisted leaves it set; what follows asks again
        lost = self._lost()
        waiting, self._waiting = self._waiting, {}
        for _, answer, _ in waiting.values():
            answer.errback(lost)
        greeted, self._greeted = self._greeted, None
        if greeted is not None:
            greeted.errback(lost)
        self._on_lost(lost)

    # -- frames

    def _handle(self, frame: ServerFrame) -> None:
        match frame:
            case Ok():
                # Decoded first: of what cannot be read, the end of the connection is the answer.
                reply = codec.decode_body(self._waiting[frame.id][0].reply, frame.body)
                self._waiting.pop(frame.id)[1].callback(reply)
            case Error():
                self._refused(frame)
            case EventFrame():
                event = self._events.get(frame.name)
                if event is not None:
                    self._on_event(frame.name, codec.decode_body(event.body, frame.body))
            case ServerHello():
                self.hello = frame
                greeted, self._greeted = self._greeted, None
                if greeted is not None:
                    greeted.callback(frame)
            case ServerPing():
                self._write(self.session.pong(frame))
            case ServerPong():
                self.latency = self.clock.seconds() - self._pinged_at
                if self.on_latency is not None:
                    self.on_latency(self.latency)
            case ServerBye():
                self._reason = self._reason or received(frame.code, frame.text)
                if self.transport is not None:
                    self.transport.loseConnection()

    def _refused(self, error: Error) -> None:
        refusal = received(error.code, error.text, field=error.field, retry_after=error.retry_after)
        if error.id in self._waiting:
            self._waiting.pop(error.id)[1].errback(refusal)
        else:
            self._reason = self._reason or refusal

    def _broke(self, error: ProtocolError) -> None:
        self.log.info("the server broke the protocol: {code}", code=error.code)
        if error.code == "LC-VERSION":
            self.abort(received(error.code, error.text))
        else:
            self.abort(NetLost(address=self.where))

    def _lost(self) -> Refusal:
        return self._reason or NetLost(address=self.where)

    def _write(self, data: bytes) -> None:
        if self.transport is not None and data:
            self.transport.write(data)
