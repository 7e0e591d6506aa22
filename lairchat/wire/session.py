"""A lair/1 session without I/O: what either end may say when, and what pairs with what.

Promises not to know: sockets, TLS, time, what commands mean.

A session has two directions, and each goes through the stages of :data:`TRANSITIONS` by what its
sender says; both ends read the same table.  They are kept apart because bytes arrive ahead of
their handling: ``receive`` may return a hello, a command and a bye at once, and the server still
answers the hello first.  In the words of h11: receive bytes, look at the frames, send a frame.

The owner of a session writes what its methods return, handles what ``receive`` returns in order,
and when ``receive`` raises a ProtocolError handles its ``before``, writes :meth:`fail` and closes.

Request ids are the client's business: a server repeats them in its answers and keeps none, so that
a client that uses an id twice at once confuses only itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, Generic, TypeVar

import msgspec

from lairchat.model import limits
from lairchat.wire import codec
from lairchat.wire.errors import MisuseError, ProtocolError
from lairchat.wire.frames import FrameReader
from lairchat.wire.objects import (
    ClientBye,
    ClientFrame,
    ClientHello,
    CommandFrame,
    Error,
    EventFrame,
    Ok,
    Ping,
    Pong,
    ServerBye,
    ServerFrame,
    ServerHello,
    ServerPing,
    ServerPong,
)

_GREETING_BYTES: Final = limits.FRAME_HEADER_BYTES + limits.FRAME_GREETING_BYTES

VERSIONS: Final = (1,)
"""Versions of the protocol that this library speaks, newest first."""


class SessionStage(IntEnum):
    """How far a session, or one direction of it, has come."""

    CONNECTED = 0
    """Nothing said yet."""
    GREETED = 1
    """The hello is said; frames of a client are at most 16 KiB."""
    READY = 2
    """Somebody is logged in; frames are at most 64 KiB."""
    CLOSING = 3
    """Of a session: one end has said bye."""
    CLOSED = 4
    """The bye is said; of a session: by both ends."""


class Authenticated:
    """What moves both directions to READY: no frame, each end's owner says it to its session."""


_CONNECTED, _GREETED, _READY, _CLOSING, _CLOSED = SessionStage

Input = type[msgspec.Struct] | type[Authenticated]

TRANSITIONS: Final[dict[tuple[SessionStage, Input], SessionStage]] = {
    # What a client says.
    (_CONNECTED, ClientHello): _GREETED,
    (_CONNECTED, ClientBye): _CLOSED,
    (_GREETED, CommandFrame): _GREETED,
    (_GREETED, Ping): _GREETED,
    (_GREETED, Pong): _GREETED,
    (_GREETED, ClientBye): _CLOSED,
    (_READY, CommandFrame): _READY,
    (_READY, Ping): _READY,
    (_READY, Pong): _READY,
    (_READY, ClientBye): _CLOSED,
    # What a server says. Before its hello it can only refuse.
    (_CONNECTED, ServerHello): _GREETED,
    (_CONNECTED, Error): _CONNECTED,
    (_CONNECTED, ServerBye): _CLOSED,
    (_GREETED, Ok): _GREETED,
    (_GREETED, Error): _GREETED,
    (_GREETED, EventFrame): _GREETED,
    (_GREETED, ServerPing): _GREETED,
    (_GREETED, ServerPong): _GREETED,
    (_GREETED, ServerBye): _CLOSED,
    (_READY, Ok): _READY,
    (_READY, Error): _READY,
    (_READY, EventFrame): _READY,
    (_READY, ServerPing): _READY,
    (_READY, ServerPong): _READY,
    (_READY, ServerBye): _CLOSED,
    # What neither says in a frame.
    (_GREETED, Authenticated): _READY,
}
"""The stage of a direction after its sender said something; what is not here may not be said."""

_ROWS: Final[dict[SessionStage, dict[Input, SessionStage]]] = {
    stage: {said: after for (before, said), after in TRANSITIONS.items() if before is stage}
    for stage in SessionStage
}

_PLAIN: Final = frozenset({CommandFrame, Ping, ClientBye, EventFrame, ServerPing, ServerBye})
"""What a session passes on without a look of its own."""

Mine = TypeVar("Mine", ClientFrame, ServerFrame)
Theirs = TypeVar("Theirs", ClientFrame, ServerFrame)


def negotiate(offered: Sequence[int], spoken: Sequence[int] = VERSIONS) -> int:
    """Return the highest version that both ends speak; ProtocolError LC-VERSION without one."""
    common = set(spoken).intersection(offered)
    if not common:
        ours = ", ".join(map(str, spoken))
        theirs = ", ".join(map(str, offered))
        raise ProtocolError(
            "LC-VERSION", f"this server speaks lair/{ours}, the client lair/{theirs}"
        )
    return max(common)


def _name(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


class _End(ABC, Generic[Mine, Theirs]):
    """What both ends do alike; ``Mine`` is what this end sends, ``Theirs`` what it receives.

    version: the version agreed on; 0 until both hellos have met here.
    """

    __slots__ = ("_deaf", "_heard", "_pinged", "_ponged", "_reader", "_said", "version")

    def __init__(self, limit: int) -> None:
        self.version = 0
        self._reader = FrameReader(limit)
        self._said = SessionStage.CONNECTED
        self._heard = SessionStage.CONNECTED
        self._deaf = False  # nothing that still arrives matters
        self._pinged = 0
        self._ponged = 0

    @property
    def stage(self) -> SessionStage:
        """How far the session has come in both directions."""
        ends = (self._said, self._heard)
        if SessionStage.CLOSED in ends:
            return SessionStage.CLOSED if ends[0] is ends[1] else SessionStage.CLOSING
        return min(ends)

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return self._reader.pending

    @property
    def unanswered(self) -> int:
        """How many of our pings wait for a pong; a pong answers all that were sent before it."""
        return self._pinged - self._ponged

    def authenticated(self) -> None:
        """Note that somebody is logged in: larger frames are allowed.

        A server's owner calls it before it writes the answer to the command that did this,
        a client's owner when that answer arrives; calling it again changes nothing.
        """
        if SessionStage.CONNECTED in (self._said, self._heard):
            raise MisuseError("nobody can be logged in before both hellos")
        self._said = _ROWS[self._said].get(Authenticated, self._said)
        self._heard = _ROWS[self._heard].get(Authenticated, self._heard)
        self._reader.limit = limits.FRAME_BYTES

    def receive(self, data: bytes) -> list[Theirs]:
        """Take a chunk of the stream and return the frame objects that became whole with it.

        Raises ProtocolError with what came whole before the fault in ``before``; from then on
        whatever arrives is dropped.
        """
        if self._deaf:
            return []
        frames: list[Theirs] = []
        try:
            try:
                bodies = self._reader.receive(data)
            except ProtocolError as error:
                self._open(error.before, frames)
                raise
            self._open(bodies, frames)
        except ProtocolError as error:
            self._deaf = True
            error.before = frames
            raise
        return frames

    def send(self, frame: Mine) -> bytes:
        """Return the bytes that say this; MisuseError if this end may not say it now."""
        kind = type(frame)
        stage = _ROWS[self._said].get(kind)
        if stage is None:
            raise MisuseError(f"{_name(kind)!r} may not be sent when {self._said.name}")
        self._allow(frame)
        data = codec.encode(frame)
        self._said = stage
        return data

    def _open(self, bodies: Sequence[Any], frames: list[Theirs]) -> None:
        for body in bodies:
            frame = self._decode(body)
            kind = type(frame)
            stage = _ROWS[self._heard].get(kind)
            if stage is None:
                raise ProtocolError(
                    "LC-STAGE", f"{_name(kind)!r} may not be sent when {self._heard.name}"
                )
            if kind not in _PLAIN:
                self._note(frame)
            self._heard = stage
            frames.append(frame)

    def _answered(self, n: int) -> None:
        # A pong that nobody asked for could keep a dead connection looking alive.
        if not self._ponged < n <= self._pinged:
            raise ProtocolError("LC-PONG", field="$.n")
        self._ponged = n

    @abstractmethod
    def _decode(self, body: bytes) -> Theirs:
        """Decode what the other end sends."""

    @abstractmethod
    def _allow(self, frame: Mine) -> None:
        """Raise MisuseError for what the table allows but the situation does not."""

    @abstractmethod
    def _note(self, frame: Theirs) -> None:
        """Take notice of a frame, or refuse it with a ProtocolError."""


class ServerSession(_End[ServerFrame, ClientFrame]):
    """The server's end; ``version`` is set when the client's hello has arrived.

    Answers and events may also be encoded with :func:`lairchat.wire.codec.encode`, once for many
    connections, and written without asking each session, between its hello and its bye.
    """

    __slots__ = ()

    def __init__(self) -> None:
        # A stranger cannot make us hold more than this.
        super().__init__(limits.FRAME_GREETING_BYTES)

    def send(self, frame: ServerFrame) -> bytes:
        """Return the bytes that say this; MisuseError if the server may not say it now."""
        data = super().send(frame)
        if isinstance(frame, ServerPing):
            self._pinged = frame.n
        elif isinstance(frame, ServerBye):
            self._deaf = True
        return data

    def ping(self) -> bytes:
        """Return a ping with a fresh number; nothing once our bye is said."""
        fresh = ServerPing(self._pinged + 1)
        return b"" if self._said is SessionStage.CLOSED else self.send(fresh)

    def pong(self, ping: Ping) -> bytes:
        """Return the answer to a ping; nothing once our bye is said."""
        return b"" if self._said is SessionStage.CLOSED else self.send(ServerPong(ping.n))

    def bye(self, code: str, text: str) -> bytes:
        """Return our bye, the first time; what still arrives after it is dropped unread."""
        return b"" if self._said is SessionStage.CLOSED else self.send(ServerBye(code, text))

    def fail(self, error: ProtocolError) -> bytes:
        """Return what tells the client that it broke the protocol: an error and our bye."""
        if self._said is SessionStage.CLOSED:
            return b""
        report = self.send(Error(code=error.code, text=error.text, field=error.field))
        return report + self.bye(error.code, error.text)

    def _decode(self, body: bytes) -> ClientFrame:
        return codec.decode_client(body)

    def _allow(self, frame: ServerFrame) -> None:
        if isinstance(frame, ServerHello) and frame.version != self.version:
            raise MisuseError(f"version {frame.version} is not the one agreed on, {self.version}")
        if isinstance(frame, ServerPing) and frame.n <= self._pinged:
            raise MisuseError(f"ping {frame.n} does not follow {self._pinged}")

    def _note(self, frame: ClientFrame) -> None:
        if isinstance(frame, ClientHello):
            self.version = negotiate(frame.versions)
        elif isinstance(frame, Pong):
            self._answered(frame.n)


class ClientSession(_End[ClientFrame, ServerFrame]):
    """The client's end: it asks, and pairs answers with what was asked."""

    __slots__ = ("_asked", "_waiting")

    def __init__(self) -> None:
        super().__init__(limits.FRAME_BYTES)
        self._asked = 0
        self._waiting: set[int] = set()

    @property
    def waiting(self) -> frozenset[int]:
        """Ids of commands without an answer yet."""
        return frozenset(self._waiting)

    def send(self, frame: ClientFrame) -> bytes:
        """Return the bytes that say this; MisuseError if the client may not say it now."""
        data = super().send(frame)
        if isinstance(frame, CommandFrame):
            if self._said is SessionStage.GREETED and len(data) > _GREETING_BYTES:
                raise MisuseError(f"{len(data)} bytes are too many before logging in")
            self._waiting.add(frame.id)
        elif isinstance(frame, Ping):
            self._pinged = frame.n
        return data

    def hello(self, client: str, features: Sequence[str] = ()) -> bytes:
        """Return our hello, which offers every version that we speak."""
        return self.send(ClientHello(list(VERSIONS), client, list(features)))

    def command(self, do: str, args: msgspec.Struct, key: bytes | None = None) -> tuple[int, bytes]:
        """Return a fresh request id and the bytes that ask for this command.

        args: the command's request struct.
        key: its idempotency id, 16 bytes, where the command wants one.
        """
        number = self._asked % limits.REQUEST_ID_MAX + 1
        while number in self._waiting:
            number = number % limits.REQUEST_ID_MAX + 1
        raw = msgspec.Raw(codec.encode_body(args))
        data = self.send(CommandFrame(id=number, do=do, args=raw, key=key))
        self._asked = number
        return number, data

    def ping(self) -> bytes:
        """Return a ping with a fresh number; nothing once our bye is said."""
        fresh = Ping(self._pinged + 1)
        return b"" if self._said is SessionStage.CLOSED else self.send(fresh)

    def pong(self, ping: ServerPing) -> bytes:
        """Return the answer to a ping; nothing once our bye is said."""
        return b"" if self._said is SessionStage.CLOSED else self.send(Pong(ping.n))

    def bye(self) -> bytes:
        """Return our bye, the first time; answers to what was asked may still arrive after it."""
        return b"" if self._said is SessionStage.CLOSED else self.send(ClientBye())

    def _decode(self, body: bytes) -> ServerFrame:
        return codec.decode_server(body)

    def _allow(self, frame: ClientFrame) -> None:
        if isinstance(frame, ClientHello | ClientBye):
            return
        # The hello is what proves who the server is: nothing else is said to a stranger.
        if self._heard is SessionStage.CONNECTED:
            raise MisuseError("the server has not said hello yet")
        if isinstance(frame, CommandFrame) and frame.id in self._waiting:
            raise MisuseError(f"id {frame.id} still waits for its answer")
        if isinstance(frame, Ping) and frame.n <= self._pinged:
            raise MisuseError(f"ping {frame.n} does not follow {self._pinged}")

    def _note(self, frame: ServerFrame) -> None:
        if isinstance(frame, ServerHello):
            if self._said is SessionStage.CONNECTED:
                raise ProtocolError("LC-STAGE", "the server greets before it was greeted")
            if frame.version not in VERSIONS:
                raise ProtocolError("LC-VERSION", f"lair/{frame.version} was not offered")
            self.version = frame.version
        elif isinstance(frame, Ok | Error):
            self._pair(frame.id)
        elif isinstance(frame, ServerPong):
            self._answered(frame.n)

    def _pair(self, number: int) -> None:
        if number == 0:  # an error of the whole connection answers nothing
            return
        if number not in self._waiting:
            raise ProtocolError("LC-REPLY", f"nothing waits for an answer with id {number}")
        self._waiting.remove(number)
