"""A whole server in one thread: real kernel, hub and SQLite, a clock that tests move, no sockets.

``Server`` has the parts that the daemon has; ``Client`` is one connection to it, which speaks the
wire's frames.  Nothing happens behind a test's back: commands that are given before the next
:meth:`Server.settle` meet in one group of the writer, which is how races are made.

    server = Server([accounts(), rooms.make()])
    alice = server.member("alice")
    alice.ask(CREATE_ROOM, name="ops")          # gives the command, settles, returns the reply
    first = alice.give(SEND, room=1, body=b"")  # gives it only
    server.settle()
    alice.answer(first)                         # the reply; a Refusal is raised
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel, event_frame
from lairchat.core.peer import Peer
from lairchat.core.throttle import Rate, Throttle
from lairchat.features.accounts import server as accounts_server
from lairchat.features.accounts.hashing import Cost, Hashing
from lairchat.features.accounts.messages import LOGIN, REGISTER, RESUME, Grant
from lairchat.features.accounts.rules import Registration
from lairchat.features.messages.messages import GAP, Gap
from lairchat.model import limits
from lairchat.model.ids import command_id
from lairchat.model.refusal import received
from lairchat.storage.answers import Answers
from lairchat.storage.database import Database
from lairchat.wire import codec
from lairchat.wire.contract import Command
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import CommandFrame, Error, EventFrame, Ok

CHEAP = Cost(kib=8, passes=1)
"""Argon2id at its least: tests are about everything else."""

#: Rates that no test reaches by accident.
PLENTY: Mapping[str, Rate] = {
    "message": Rate(burst=100_000, per_second=100_000),
    "command": Rate(burst=100_000, per_second=100_000),
}
EPOCH_MS = 1_800_000_000_000
_servers = itertools.count()


def predictable(seed: str = "lair") -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats within a test and is the same in every run."""
    counter = 0

    def random(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{seed} {counter}".encode()).digest(size)

    return random


class Held:
    """Work that is done when the test says so: a run for ``Hashing``."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, work: Callable[[], Any]) -> "Deferred[Any]":
        """Keep the work."""
        deferred: Deferred[Any] = Deferred()
        self.jobs.append((work, deferred))
        return deferred

    def finish_one(self) -> None:
        """Do the work that was kept first."""
        work, deferred = self.jobs.pop(0)
        execute(work).chainDeferred(deferred)


def accounts(
    registration: Registration = Registration.OPEN, hashing: Hashing | None = None, **more: Any
) -> Feature:
    """Return the accounts feature with cheap hashes that are computed at once."""
    return accounts_server.make(
        hashing=hashing or Hashing(execute, predictable("salt"), cost=CHEAP),
        registration=lambda: registration,
        **more,
    )


def secret_of(password: str) -> bytes:
    """Return an authentication secret, as a client would derive it, only faster."""
    return hashlib.sha256(password.encode()).digest()


class Server:
    """A server.

    features: what it can do.  rates: what members may ask for; plenty unless told otherwise.
    url: a database file that outlives this server, to start a second one on it; by default memory.
    """

    def __init__(
        self,
        features: Iterable[Feature],
        *,
        rates: Mapping[str, Rate] | None = None,
        url: str = "sqlite://",
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        # A second server on the same file must not draw the first one's tokens again.
        self.random = predictable(f"server {next(_servers)}")
        self.database = Database.open(url, reactor=self.clock, inline=True)
        self.throttle = Throttle(self.clock.seconds)
        self.hub = Hub(
            lambda flush: self.clock.callLater(0, flush),
            lambda rooms: event_frame(GAP.name, Gap(rooms=sorted(rooms))),
        )
        self.kernel = Kernel(
            features,
            storage=self.database,
            answers=Answers(),
            hub=self.hub,
            throttle=self.throttle,
            now=self.now,
            random=self.random,
            rates=rates or PLENTY,
        )
        self.look(self.kernel.open)

    def now(self) -> int:
        """Return the wall clock, ms."""
        return EPOCH_MS + round(self.clock.seconds() * 1000)

    def settle(self) -> None:
        """Let everything happen that can happen without time going by."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.settle()
        self.clock.advance(seconds)
        self.settle()

    def change(self, function: Callable[[Any], Any]) -> Any:
        """Return what a function over a connection returns, from a transaction that may write."""
        return self.result(self.database.call(function))

    def look(self, function: Callable[[Any], Any]) -> Any:
        """Return what a function over a connection returns, from one that may not."""
        return self.result(self.database.read(function))

    def upkeep(self) -> None:
        """Do what the daemon does every hour."""
        self.result(self.kernel.upkeep())

    def result(self, deferred: "Deferred[Any]") -> Any:
        """Settle and return what a Deferred fired with, or raise what it failed with."""
        self.settle()
        outcome: list[Any] = []
        failures: list[Any] = []
        deferred.addCallbacks(outcome.append, failures.append)
        if failures:
            failures[0].raiseException()
        assert outcome, "nothing has happened yet"
        return outcome[0]

    def member(self, name: str, *, address: str = "192.0.2.1") -> "Client":
        """Return a connection of a new member, who has registered with the password ``name``."""
        client = Client(self, address)
        client.register(name)
        return client

    def close(self) -> None:
        """Close the database; another server may be started on its file."""
        self.result(self.database.close())


class Client:
    """One connection: the test on one side, the server's Peer on the other.

    frames: everything received, in order.  writes: how many writes that took.
    closed: the code of the server's goodbye, or None while the connection is up.
    session: what the server granted, once logged in.
    """

    def __init__(self, server: Server, address: str = "192.0.2.1") -> None:
        self.server = server
        self.frames: list[Any] = []
        self.writes = 0
        self.closed: str | None = None
        self.aborted = False
        self.reading = True
        self.is_authenticated = False
        self.session: Grant | None = None
        self.peer = Peer(server.hub, self, address, server.clock.seconds())
        self._reader = FrameReader(limits.FRAME_BYTES)
        self._ids = 0
        self._commands: dict[int, Command[Any, Any]] = {}

    # -- what the server does to its end (lairchat.core.peer.Wire)

    def write(self, data: bytes) -> None:
        """Take what the server sends."""
        assert self.closed is None, "written to a closed connection"
        self.writes += 1
        self.frames.extend(codec.decode_server(body) for body in self._reader.receive(data))

    def pause_reading(self) -> None:
        """Note that the server reads nothing more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note that the server reads again."""
        self.reading = True

    def close(self, code: str, text: str) -> None:
        """Note the server's goodbye."""
        self.closed = self.closed or code

    def abort(self) -> None:
        """Note that the server cut the connection."""
        self.aborted = True
        self.closed = self.closed or ""

    def authenticated(self) -> None:
        """Note that larger frames are allowed."""
        self.is_authenticated = True

    # -- what the test does

    def give(
        self, command: Command[Any, Any], key: bytes | None = None, /, **arguments: Any
    ) -> int:
        """Send a command, and do nothing more; return its request id.

        A command that needs an idempotency key gets a new one unless one is given.
        """
        request = command.request(**arguments)
        if command.keyed and key is None:
            key = self.new_key()
        return self.give_raw(command.name, codec.encode_body(request), key, command)

    def give_raw(
        self,
        do: str,
        arguments: bytes,
        key: bytes | None = None,
        command: Command[Any, Any] | None = None,
    ) -> int:
        """Send a command with whatever arguments; return its request id."""
        self._ids += 1
        if command is not None:
            self._commands[self._ids] = command
        frame = CommandFrame(id=self._ids, do=do, args=msgspec.Raw(arguments), key=key)
        decoded = codec.decode_client(codec.encode_body(frame))
        assert isinstance(decoded, CommandFrame)
        self.server.kernel.receive(self.peer, decoded)
        return self._ids

    def answer(self, request: int) -> Any:
        """Return the reply to a request; raises the refusal if that was the answer."""
        found = [one for one in self.frames if isinstance(one, Ok | Error) and one.id == request]
        assert len(found) == 1, f"{len(found)} answers to request {request}"
        match found[0]:
            case Ok(body=body):
                return codec.decode_body(self._commands[request].reply, body)
            case Error(code=code, text=text, field=field, retry_after=retry_after):
                raise received(code, text, field=field, retry_after=retry_after)

    def ask(self, command: Command[Any, Any], key: bytes | None = None, /, **arguments: Any) -> Any:
        """Send a command, settle, and return the reply; raises the refusal."""
        request = self.give(command, key, **arguments)
        self.server.settle()
        return self.answer(request)

    def events(self, name: str | None = None) -> list[Any]:
        """Return the bodies of the events received so far, of one name or of all."""
        self.server.settle()
        table = self.server.kernel.table
        found = []
        for frame in self.frames:
            if isinstance(frame, EventFrame) and name in {None, frame.name}:
                event = table.event(frame.name)
                assert event is not None, f"the event {frame.name} is not in the table"
                found.append(codec.decode_body(event.body, frame.body))
        return found

    def forget(self) -> None:
        """Forget what was received so far."""
        self.frames.clear()
        self.writes = 0

    def new_key(self) -> bytes:
        """Return a new idempotency key, of now."""
        return command_id(self.server.now(), self.server.random(10))

    def disconnect(self) -> None:
        """Go away without a word."""
        self.closed = self.closed or ""
        self.server.kernel.gone(self.peer)

    # -- logging in

    def register(self, name: str, **more: Any) -> Grant:
        """Register with the password ``name`` unless another ``secret`` is given."""
        more.setdefault("secret", secret_of(name))
        self.session = self.ask(REGISTER, name=name, **more)
        return self.session

    def login(self, name: str, **more: Any) -> Grant:
        """Log in with the password ``name`` unless another ``secret`` is given."""
        more.setdefault("secret", secret_of(name))
        self.session = self.ask(LOGIN, name=name, **more)
        return self.session

    def resume(self, token: bytes) -> Grant:
        """Log in with a session token."""
        self.session = self.ask(RESUME, token=token)
        return self.session
