"""The profile's private socket: how ``lair send`` and ``lair tail`` reach the process that is online.

JSON, one object a line, over a Unix socket of mode 0600 in a directory of mode 0700.  Requests:
``{"op": "send", "room": "#ops", "text": "...", "action": false, "key": HEX}``,
``{"op": "tail", "room": "#ops", "after": 12}`` (room null: all rooms; after null: from now on),
``{"op": "invite", "uses": 1}`` and ``{"op": "doctor"}``.
Answers: ``{"ok": ...}``, ``{"error": CODE, "text": ...}``, for tail one ``{"event": ...}`` a line, and
for send before its answer ``{"kept": ...}``: whether the message is in the profile's queue now.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IConsumer, IListeningPort, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from lairchat.client.follow import Follower
from lairchat.client.link import Link
from lairchat.client.profile import require_private
from lairchat.client.sealed.report import report
from lairchat.features.messages import messages as wire
from lairchat.features.rooms.messages import RoomInfo
from lairchat.model import faults, limits, refusals
from lairchat.model.refusal import Refusal

#: A line holds one message and its frame of JSON; \\uXXXX takes six bytes a character.
LINE_BYTES = limits.MESSAGE_CHARS * 12 + 4_096
#: How much may wait for a program that does not read before it is cut.
BACKLOG_BYTES = 4 * 1024 * 1024


class Service:
    """Sends, follows and invites on behalf of other programs, through the link that is here."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def room(self, name: str) -> RoomInfo:
        """Return the room of this name; says why not when no room is known yet at all."""
        if not self._link.rooms.synced:
            raise self._link.reason or faults.NetLost(address=self._link.target.host)
        info = self._link.rooms.by_name(name)
        if info is None:
            raise refusals.RoomUnknown
        return info

    async def send(
        self,
        room: str,
        text: str,
        *,
        action: bool = False,
        key: bytes | None = None,
        queued: Callable[[bool], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Queue a message; answers once it is on the server's disk, with its sequence.

        key: a command id of the caller's choice, so that a repeat is not a second message.
        queued: called when it waits in the queue, with whether that is kept on disk.
        """
        if not text.strip():
            raise refusals.TextEmpty
        if len(text) > limits.MESSAGE_CHARS:
            raise refusals.TextLong(size=len(text), limit=limits.MESSAGE_CHARS)
        info = self.room(room)
        answer: Deferred[wire.Sent] = Deferred()
        self._link.submit(
            info.room, text, lambda result: _fire(answer, result), action=action, key=key
        )
        if not answer.called:
            queued(self._link.keeps(info.room))
        sent = await answer
        return {"seq": sent.seq, "at": sent.at}

    def doctor(self) -> dict[str, Any]:
        """Say how the encrypted side of this device stands."""
        sealed = self._link.sealed
        if sealed.store is None:
            return {"lines": [["note", "store", "locked: type /unlock in lair"]]}
        return {"lines": [list(line) for line in report(sealed.store, self._link.now())]}

    async def invite(self, uses: int) -> dict[str, Any]:
        """Make an invite link."""
        link, note = await self._link.requests.invite(uses)
        return {"link": link, "note": note}

    async def tail(
        self, room: str | None, after: int | None, emit: Callable[[dict[str, Any]], None]
    ) -> Follower:
        """Emit what follows, until the follower is ended; with ``after`` from there on."""
        wanted = None if room is None else self.room(room).room
        follower = Follower(self._link, wanted, after, emit)
        await follower.begin()
        return follower


def _fire(answer: "Deferred[wire.Sent]", result: wire.Sent | Refusal) -> None:
    if isinstance(result, Refusal):
        answer.errback(result)
    else:
        answer.callback(result)


@implementer(IPushProducer)
class Backlog:
    """Notices when the other program does not read: asked by the transport, as its producer."""

    def __init__(self) -> None:
        self.blocked = False
        self.waiting = 0

    def pauseProducing(self) -> None:
        """Note that what is written now waits."""
        self.blocked = True

    def resumeProducing(self) -> None:
        """Note that all has been read."""
        self.blocked = False
        self.waiting = 0

    def stopProducing(self) -> None:
        """Nothing to stop: connectionLost follows."""


class Slot(LineReceiver):
    """One program that asks."""

    delimiter = b"\n"
    MAX_LENGTH = LINE_BYTES
    log = Logger()

    def __init__(self, service: Service, slots: "set[Slot]") -> None:
        self._service = service
        self._slots = slots
        self._followers: list[Follower] = []
        self._backlog = Backlog()

    def connectionMade(self) -> None:
        """Ask to be told when the other program does not read."""
        assert self.transport is not None
        self._slots.add(self)
        IConsumer(self.transport).registerProducer(self._backlog, True)

    def cut(self) -> None:
        """End it without waiting for the other program to read."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    def lineReceived(self, line: bytes) -> None:
        """Take one request."""
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._answer({"error": "LC-DECODE", "text": "a request is one JSON object a line"})
            return
        Deferred.fromCoroutine(self._carry_out(request)).addErrback(self._failed)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Refuse a line that is too long to hold one message."""
        self._answer({"error": "LC-TEXT-LONG", "text": "the line is too long"})
        IConsumer(self.transport).unregisterProducer()
        self.transport.loseConnection()  # type: ignore[union-attr]

    async def _carry_out(self, request: dict[str, Any]) -> None:
        service = self._service
        try:
            match request:
                case {"op": "send", "room": str(room), "text": str(text)}:
                    action = request.get("action") is True
                    key = _key(request.get("key"))
                    sent = await service.send(
                        room,
                        text,
                        action=action,
                        key=key,
                        queued=lambda kept: self._answer({"kept": kept}),
                    )
                    self._answer({"ok": sent})
                case {"op": "tail", "room": str() | None as which}:
                    await self._follow(which, _whole(request.get("after")))
                case {"op": "invite"}:
                    uses = _whole(request.get("uses"))
                    self._answer({"ok": await service.invite(1 if uses is None else uses)})
                case {"op": "doctor"}:
                    self._answer({"ok": service.doctor()})
                case _:
                    known = "send, tail, invite or doctor"
                    self._answer({"error": "LC-COMMAND-UNKNOWN", "text": known})
        except Refusal as refusal:
            self._answer({"error": refusal.code, "text": refusal.text})

    async def _follow(self, room: str | None, after: int | None) -> None:
        follower = await self._service.tail(
            room, after, lambda shown: self._answer({"event": shown})
        )
        self._followers.append(follower)
        if not self.connected:
            self._end()
        # Where it stands, so that whoever takes over can begin there.
        self._answer({"ok": {"after": follower.position}})

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a request on the profile's socket failed", failure)
        self._answer({"error": "LC-INTERNAL", "text": "the request failed"})

    def _answer(self, answer: dict[str, Any]) -> None:
        if self.transport is None or not self.connected:
            return
        line = json.dumps(answer).encode("ascii")
        if self._backlog.blocked:
            self._backlog.waiting += len(line)
            if self._backlog.waiting > BACKLOG_BYTES:
                # It can come back and read on from where it stands; our memory cannot wait.
                self.cut()
                return
        self.sendLine(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Stop following for it."""
        self.connected = 0  # Twisted leaves it set
        self._slots.discard(self)
        self._end()

    def _end(self) -> None:
        followers, self._followers = self._followers, []
        for follower in followers:
            follower.end()


def _whole(value: object) -> int | None:
    """Return a number that may be a sequence or a count; None for anything else."""
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def _key(value: object) -> bytes | None:
    """Return a command id; None for anything else."""
    try:
        key = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return key if len(key) == limits.COMMAND_ID_BYTES else None


class SlotFactory(Factory):
    """Makes a slot for each program that connects."""

    noisy = False

    def __init__(self, service: Service) -> None:
        self._service = service
        self.slots: set[Slot] = set()

    def buildProtocol(self, addr: Any) -> Slot:  # noqa: ARG002
        """Make a slot."""
        return Slot(self._service, self.slots)

    def stopFactory(self) -> None:
        """End what is still connected: the profile is about to be somebody else's."""
        for slot in list(self.slots):
            slot.cut()


class Mailslot:
    """The socket while it is served."""

    def __init__(self, port: IListeningPort) -> None:
        self._port: IListeningPort | None = port

    def close(self) -> "Deferred[Any]":
        """Serve it no more; fires when its file is gone, which is before the lock may be given up.

        The file's name belongs to the next holder from then on.
        """
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        closing = maybeDeferred(port.stopListening)
        return closing.addErrback(lambda failure: failure.trap(OSError) and None)


def listen(reactor: Any, path: Path, link: Link) -> Mailslot:
    """Serve the profile's socket; the holder of the lock may replace a dead one's socket file.

    Raises ProfileBroken where that cannot be done.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(path.parent)
        path.unlink(missing_ok=True)
        port: IListeningPort = reactor.listenUNIX(str(path), SlotFactory(Service(link)), mode=0o600)
    except (OSError, CannotListenError) as error:
        why = getattr(error, "socketError", error)
        raise faults.ProfileBroken(path=path, why=why) from None
    return Mailslot(port)
