"""A client's connection through the proxy that lies: the frames of both directions, decoded, on their way.

Requests get numbers of the proxy's own towards the daemon, so that a rule can ask beside the client.
"""

import dataclasses
import pkgutil
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from importlib import import_module
from inspect import isawaitable
from typing import Any, Generic, TypeVar
from typing import Protocol as Interface

import msgspec
from msgspec import Raw
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from lairchat import features
from lairchat.client.tls import Pinned, connect
from lairchat.features.accounts.messages import Grant
from lairchat.model import limits
from lairchat.model.faults import NetLost
from lairchat.model.refusal import Refusal, received
from lairchat.wire import codec
from lairchat.wire.contract import Command, Table
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import (
    ClientFrame,
    CommandFrame,
    Error,
    EventFrame,
    Ok,
    ServerFrame,
)


def _table() -> Table:
    modules = [
        import_module(f"{features.__name__}.{found.name}.messages")
        for found in pkgutil.iter_modules(features.__path__)
    ]
    return Table(
        [command for module in modules for command in getattr(module, "COMMANDS", ())],
        [event for module in modules for event in getattr(module, "EVENTS", ())],
    )


TABLE = _table()
"""Everything that any client can say to a daemon, and a daemon to any client."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a client has asked for.

    id: by which the client knows its answer.  args: the command's request, as the client gave it.
    """

    id: int
    command: Command[Any, Any]
    args: Any
    key: bytes | None


class Passing(Enum):
    """At what a rule looks."""

    REQUEST = auto()
    REPLY = auto()
    EVENT = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What is done with everything of one name, on its way; until its end.

    whose: names of the members whose connections it is about; None: everybody's.
    """

    at: Passing
    name: str
    act: Callable[..., Any]
    whose: frozenset[str] | None
    _rules: "list[Rule]"

    def end(self) -> None:
        """Tell the truth about this again."""
        self._rules.remove(self)


class Proxy(Interface):
    """Whose connections they are."""

    @property
    def daemon_port(self) -> int:
        """Where the daemon listens."""

    def rules(self, at: Passing, name: str, client: "Client") -> Iterator[Rule]:
        """Iterate over the rules about something."""

    def came(self, client: "Client") -> None:
        """Note a new connection."""

    def gone(self, client: "Client") -> None:
        """Forget a connection that is no more."""

    def broke(self, failure: Failure) -> None:
        """Note that something went wrong in a connection."""


F = TypeVar("F")


class _Line(Generic[F]):
    """One direction of a connection: frames are dealt with one after the other, however long it takes."""

    def __init__(
        self, deal: Callable[[F], Awaitable[None]], broken: Callable[[Failure], None]
    ) -> None:
        self._deal = deal
        self._broken = broken
        self._waiting: deque[F] = deque()
        self._busy = False

    def put(self, frames: list[F]) -> None:
        self._waiting += frames
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._run()).addErrback(self._broken)

    async def _run(self) -> None:
        while self._waiting:
            await self._deal(self._waiting.popleft())
        self._busy = False


async def settled(found: Any) -> Any:
    """Return what a rule returns, or what it is awaited for."""
    return await found if isawaitable(found) else found


class Client(Protocol):
    """A client's connection, and the one to the daemon that stands for it.

    name, user, device: who is logged in; "" and 0 before.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.name = ""
        self.user = 0
        self.device = 0
        self._reader = FrameReader(limits.FRAME_BYTES)
        self._daemon: _Daemon | None = None
        self._dialing = False
        self._asked: dict[int, CommandFrame | Asked] = {}
        self._own: dict[int, tuple[Command[Any, Any], Deferred[Any]]] = {}
        self._last = 0
        self._up = _Line(self._said, self._broken)
        self._down = _Line(self._heard, self._broken)

    # -- what a lie can do

    async def ask(
        self, command: Command[Any, Any], args: msgspec.Struct, key: bytes | None = None
    ) -> Any:
        """Ask the daemon, as if the client had; raises its Refusal."""
        number = self._number()
        answer: Deferred[Any] = Deferred()
        self._own[number] = command, answer
        self._send(CommandFrame(number, command.name, _raw(args), key))
        return await answer

    def tell(self, name: str, body: msgspec.Struct) -> None:
        """Tell the client of an event."""
        self._to_client(EventFrame(name, _raw(body)))

    def answer(self, asked: Asked, reply: Any) -> None:
        """Answer what the client has asked, with a reply or a Refusal."""
        if isinstance(reply, Refusal):
            self._to_client(Error(reply.code, reply.text, asked.id, reply.field, reply.retry_after))
        else:
            self._to_client(Ok(asked.id, _raw(reply)))

    def pass_on(self, asked: Asked, args: msgspec.Struct | None = None) -> None:
        """Ask the daemon what the client has asked, or something else for it."""
        raw = _raw(asked.args if args is None else args)
        self._forward(asked, asked.command.name, raw, asked.key)

    def cut(self) -> None:
        """Cut the connection, as a failing network would."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    # -- from the client

    def connectionMade(self) -> None:
        self._proxy.came(self)

    def dataReceived(self, data: bytes) -> None:
        self._up.put([codec.decode_client(body) for body in self._reader.receive(data)])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        if self._daemon is not None and self._daemon.connected:
            self._daemon.leave()
        elif not self._dialing:
            self._proxy.gone(self)

    async def _dial(self) -> "_Daemon":
        self._dialing = True
        daemon = _Daemon(self)
        try:
            await connect(reactor, "127.0.0.1", self._proxy.daemon_port, Pinned(), daemon)
        finally:
            self._dialing = False
            if self.transport is None:  # the client did not wait
                if daemon.connected:
                    daemon.leave()
                else:
                    self._proxy.gone(self)
        return daemon

    async def _said(self, frame: ClientFrame) -> None:
        if self._daemon is None:
            self._daemon = await self._dial()
        if not isinstance(frame, CommandFrame):
            self._daemon.write(codec.encode(frame))
            return
        command = TABLE.command(frame.do)
        if command is None:
            self._forward(frame, frame.do, frame.args, frame.key)
            return
        args = codec.decode_args(command.request, frame.args)
        asked = found = Asked(frame.id, command, args, frame.key)
        for rule in self._proxy.rules(Passing.REQUEST, frame.do, self):
            try:
                outcome = await settled(rule.act(self, found))
            except Refusal as refusal:
                outcome = refusal
            if outcome is None:
                return
            if not isinstance(outcome, command.request):
                self.answer(asked, outcome)
                return
            found = dataclasses.replace(found, args=outcome)
        # What comes back is judged by what the client asked, whatever was made of it.
        self.pass_on(asked, found.args)

    # -- from the daemon

    def heard(self, frames: list[ServerFrame]) -> None:
        """Take what the daemon says: our own answers at once, for a rule may wait for them."""
        others = []
        for frame in frames:
            if isinstance(frame, Ok | Error) and frame.id in self._own:
                self._answered(frame)
            else:
                others.append(frame)
        self._down.put(others)

    def _answered(self, frame: Ok | Error) -> None:
        command, answer = self._own.pop(frame.id)
        if isinstance(frame, Ok):
            answer.callback(codec.decode_body(command.reply, frame.body))
        else:
            answer.errback(
                received(frame.code, frame.text, field=frame.field, retry_after=frame.retry_after)
            )

    def daemon_gone(self) -> None:
        """Leave the client, for the daemon has left."""
        own, self._own = self._own, {}
        for _, answer in own.values():
            answer.errback(NetLost(address="the daemon"))
        if self.transport is None:
            self._proxy.gone(self)
        else:
            self.transport.loseConnection()

    async def _heard(self, frame: ServerFrame) -> None:
        match frame:
            case Ok():
                await self._replied(frame)
            case Error(id=number) if number:
                self._to_client(replace(frame, id=self._asked.pop(number).id))
            case EventFrame():
                await self._told(frame)
            case _:
                self._to_client(frame)

    async def _replied(self, frame: Ok) -> None:
        asked = self._asked.pop(frame.id)
        if isinstance(asked, CommandFrame):
            self._to_client(replace(frame, id=asked.id))
            return
        reply = codec.decode_body(asked.command.reply, frame.body)
        if isinstance(reply, Grant):
            self.name, self.user, self.device = reply.name, reply.user, reply.device
        for rule in self._proxy.rules(Passing.REPLY, asked.command.name, self):
            reply = await settled(rule.act(self, asked, reply))
            if reply is None:
                return
            if isinstance(reply, Refusal):
                break
        self.answer(asked, reply)

    async def _told(self, frame: EventFrame) -> None:
        rules = list(self._proxy.rules(Passing.EVENT, frame.name, self))
        if not rules:
            self._to_client(frame)
            return
        event = TABLE.event(frame.name)
        assert event is not None
        bodies = [codec.decode_body(event.body, frame.body)]
        for rule in rules:
            bodies = [
                found for body in bodies for found in _several(await settled(rule.act(self, body)))
            ]
        for body in bodies:
            self.tell(frame.name, body)

    # -- inside

    def _number(self) -> int:
        # Our own numbers: what a rule asks beside the client must not meet one of the client's.
        self._last = self._last % limits.REQUEST_ID_MAX + 1
        return self._last

    def _forward(self, asked: CommandFrame | Asked, do: str, args: Raw, key: bytes | None) -> None:
        number = self._number()
        self._asked[number] = asked
        self._send(CommandFrame(number, do, args, key))

    def _send(self, frame: CommandFrame) -> None:
        assert self._daemon is not None
        self._daemon.write(codec.encode(frame))

    def _to_client(self, frame: ServerFrame) -> None:
        if self.transport is not None:
            self.transport.write(codec.encode(frame))

    def _broken(self, failure: Failure) -> None:
        self._proxy.broke(failure)
        self.cut()


class _Daemon(Protocol):
    """The connection to the daemon that stands for a client's."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._reader = FrameReader(limits.FRAME_BYTES)

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        self.client.heard([codec.decode_server(body) for body in self._reader.receive(data)])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        self.connected = 0  # Twisted leaves it set
        self.client.daemon_gone()


def _raw(body: msgspec.Struct) -> Raw:
    return Raw(codec.encode_body(body))


def _several(found: Any) -> list[Any]:
    if found is None:
        return []
    return found if isinstance(found, list) else [found]
