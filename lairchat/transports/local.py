"""lairctl's door: a Unix socket in the data directory, for the daemon's own user and root alone.

Who is at the other end says the kernel (SO_PEERCRED), not the caller: whoever may open the socket
could read the database as well, and commands the server as its owner.
"""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat import __version__
from lairchat.core.desk import Desk
from lairchat.core.kernel import Kernel
from lairchat.core.session import Session
from lairchat.model.faults import ControlDenied, ControlFile, StartListen
from lairchat.model.ids import LOCAL_OPERATOR, DeviceId, SessionId
from lairchat.model.refusal import Refusal
from lairchat.model.roles import ServerRole
from lairchat.operator import control
from lairchat.operator.console import Console, Live, Output, Status, Verbs, split, status_of

__all__ = ["ControlListener", "LocalFactory"]

_CREDENTIALS = struct.Struct("3i")
_COLUMNS = range(20, 1_001)
"""cells: widths that are believed."""
log = Logger()


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process that has opened the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(data)
    return int(uid)


@implementer(IPushProducer)
class _Backlog:
    """Knows whether the caller reads what it is sent; what goes on by itself waits for that."""

    def __init__(self, drained: Callable[[], None]) -> None:
        self.full = False
        self._drained = drained

    def pauseProducing(self) -> None:
        """Note that the connection is full."""
        self.full = True

    def resumeProducing(self) -> None:
        """Note that it takes more."""
        self.full = False
        self._drained()

    def stopProducing(self) -> None:
        """Do nothing: the end of the connection says more."""


class LocalProtocol(LineReceiver):
    """One lairctl: its commands, one after the other, as :mod:`lairchat.operator.control` says."""

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = control.LINE_BYTES

    def __init__(self, factory: "LocalFactory") -> None:
        self._factory = factory
        self._console: Console | None = None
        self._running = False
        self._question: Deferred[Any] | None = None
        self._pause: Deferred[None] | None = None
        self._stopped = False
        self._gone = False
        self._backlog = _Backlog(self._wake)

    # -- the connection

    def connectionMade(self) -> None:
        """Let in whom the kernel says is allowed, and nobody else."""
        uid = peer_uid(self.transport.getHandle())
        if uid not in self._factory.allowed:
            log.warn("refused a local caller with the user id {uid}", uid=uid)
            refusal = ControlDenied(path=self._factory.path)
            self._say(control.Text(f"{refusal}\n", error=True), control.Done(Status.DENIED))
            self.transport.loseConnection()
            return
        self._factory.connections.add(self)
        self.transport.registerProducer(self._backlog, True)
        who = f"local:{uid}"
        session = Session(SessionId(0), LOCAL_OPERATOR, DeviceId(0), who, ServerRole.OWNER)
        self._console = Console(
            self._factory.verbs,
            Desk(self._factory.kernel, session, "local").give,
            who=who,
            role=ServerRole.OWNER,
            source="lairctl",
            files=self._read,
            apart=self._factory.apart,
        )
        self._say(control.Hello(__version__))

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        """Let nothing wait for a caller who has gone; what was begun comes to its end."""
        self._gone = True
        self._factory.connections.discard(self)
        self._answer(None)
        self._wake()

    def leave(self) -> None:
        """Close once what was said has been read."""
        self.transport.unregisterProducer()  # a paused one would keep the connection open
        self.transport.loseConnection()

    def _say(self, *messages: control.FromDaemon) -> None:
        if not self._gone:
            self.transport.write(b"".join(map(control.encode, messages)))

    # -- what the caller sends

    def lineReceived(self, line: bytes) -> None:
        """Take one message; whoever does not speak like lairctl is let go."""
        try:
            message = control.decode_caller(line)
        except ValueError as error:
            log.warn("a local caller does not speak as lairctl does: {error}", error=str(error))
            self.leave()
            return
        match message:
            case control.Reply(yes=yes):
                self._answer(yes)
            case control.FileText():
                self._answer(message)
            case control.Size(columns=columns):
                self._resize(columns)
            case control.Stop():
                self._stopped = True
                self._wake()
            case _ if self._running or self._console is None:
                self.leave()
            case _:
                self._start(message)

    def lineLengthExceeded(self, _line: bytes) -> None:
        """Let go of whoever sends more than any command holds."""
        log.warn("a local caller sent an endless line")
        self.leave()

    def _resize(self, columns: int) -> None:
        if self._console is not None and columns in _COLUMNS:
            self._console.columns = columns

    def _start(self, message: control.FromCaller) -> None:
        self._running, self._stopped = True, False
        done = Deferred.fromCoroutine(self._serve(message))
        done.addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        log.failure("a local command broke", failure)
        self._running = False
        self.leave()

    async def _serve(self, message: control.FromCaller) -> None:
        console = self._console
        assert console is not None
        match message:
            case control.Complete(line=line, cursor=cursor):
                offer = await console.complete(line, max(0, min(cursor, len(line))))
                answer: list[control.FromDaemon] = [control.Offer(offer.start, offer.words)]
            case control.Greet():
                answer = _parts(Output(await console.greeting()))
            case control.Run():
                self._resize(message.columns)
                answer = _parts(await self._run(console, message))
            case _:
                raise AssertionError(f"nobody serves {type(message).__name__}")
        # Before the answer: the next command may come in the same turn.
        self._running = False
        self._say(*answer)

    async def _run(self, console: Console, message: control.Run) -> Output:
        try:
            words = split(message.line) if message.words is None else message.words
        except Refusal as refusal:
            return Output(f"{refusal}\n", status_of(refusal.code))
        live = console.live(words)
        if live is Live.LINES or (live is Live.SCREEN and message.screen):
            return await console.watch(words, self._emitter(live), self._until)
        return await console.run(words, self._confirm if message.asks else None)

    # -- what a console asks of its caller

    async def _confirm(self, question: str) -> bool:
        return await self._ask(control.Ask(question)) is True

    async def _read(self, path: str) -> str:
        answer = await self._ask(control.Read(path))
        if not isinstance(answer, control.FileText):
            raise ControlFile(path=path, why="nobody has read it")
        if answer.why:
            raise ControlFile(path=path, why=answer.why)
        return answer.text

    async def _ask(self, question: control.FromDaemon) -> Any:
        if self._gone:
            return None
        self._question = Deferred()
        self._say(question)
        return await self._question

    def _answer(self, value: Any) -> None:
        question, self._question = self._question, None
        if question is not None:
            question.callback(value)

    # -- what goes on by itself

    def _emitter(self, live: str) -> Callable[[str], None]:
        return lambda text: self._say(control.Text(text, frame=live == Live.SCREEN))

    @property
    def _over(self) -> bool:
        return self._stopped or self._gone

    async def _until(self, seconds: float) -> bool:
        """Wait a while, and for as long as the caller does not read; say whether it is over."""
        await self._rest(seconds)
        while self._backlog.full and not self._over:
            await self._rest(None)
        return self._over

    async def _rest(self, seconds: float | None) -> None:
        """Wait until something happens, or for so long."""
        if self._over:
            return
        pause: Deferred[None] = Deferred()
        self._pause = pause
        timer = None if seconds is None else self._factory.reactor.callLater(seconds, self._wake)
        await pause
        if timer is not None and timer.active():
            timer.cancel()

    def _wake(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)


def _parts(output: Output) -> list[control.FromDaemon]:
    """Cut an answer into lines of bounded length."""
    text, size, error = output.text, control.TEXT_CHARS, output.status != Status.OK
    parts: list[control.FromDaemon] = [
        control.Text(text[at : at + size], error=error) for at in range(0, len(text), size)
    ]
    return [*parts, control.Done(output.status)]


class LocalFactory(Factory):
    """Makes a :class:`LocalProtocol` for each caller.

    path: what refusals name.  allowed: user ids that may command the server.
    """

    noisy = False

    def __init__(self, reactor: Any, kernel: Kernel, path: Path) -> None:
        self.reactor = reactor
        self.kernel = kernel
        self.path = path
        self.allowed = frozenset({0, os.geteuid()})
        self.verbs = Verbs(kernel.table)
        self.connections: set[LocalProtocol] = set()

    def apart(self, work: Callable[[], str]) -> "Deferred[str]":
        """Do work in another thread."""
        pool = self.reactor.getThreadPool()
        done: Deferred[str] = deferToThreadPool(self.reactor, pool, work)
        return done

    def buildProtocol(self, _addr: IAddress | None) -> Protocol:
        """Return the protocol of one caller."""
        return LocalProtocol(self)


class ControlListener(Service):
    """The socket, open from start to stop; a failure to listen stops the start."""

    def __init__(self, reactor: Any, kernel: Kernel, path: Path) -> None:
        self._reactor = reactor
        self._path = path
        self._factory = LocalFactory(reactor, kernel, path)
        self._port: IListeningPort | None = None
        self._directory = -1

    def privilegedStartService(self) -> None:
        """Listen; what an earlier daemon left behind is nobody's, because we hold the lock."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        with suppress(FileNotFoundError):
            self._path.unlink()
        name, self._directory = control.short_name(self._path)
        # The daemon's umask makes the socket private from its first moment on; mode says it again.
        try:
            self._port = self._reactor.listenUNIX(name, self._factory, mode=0o600)
        except CannotListenError as error:
            raise StartListen(address=self._path, why=str(error.socketError)) from None

    def stopService(self) -> "Deferred[None]":
        """Take no more callers, and let those go that are here."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        for connection in tuple(self._factory.connections):
            connection.leave()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
