"""The profile's private socket: how ``lair send`` and ``lair tail`` reach the process that is online.

JSON, one object a line, over a Unix socket of mode 0600 in the profile (architecture.md,
decision 7).  Requests: ``{"op": "send", "room": "#ops", "text": "...", "action": false}`` and
``{"op": "tail", "room": "#ops", "after": 12}`` (room null: all rooms; after null: from now on).
Answers: ``{"ok": ...}``, ``{"error": CODE, "text": ...}``, and for tail one ``{"event": ...}`` a line.
"""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from lairchat.client import catalog
from lairchat.client.link import Link
from lairchat.features.messages import messages as wire
from lairchat.model import faults, limits, refusals
from lairchat.model.refusal import Refusal

#: A line holds one message and its frame of JSON; \\uXXXX takes six bytes a character.
LINE_BYTES = limits.MESSAGE_CHARS * 12 + 4_096
#: How many events a follower that does not read may have waiting before it is cut.
BACKLOG_BYTES = 4 * 1024 * 1024


def event_object(event: wire.LogEvent, room: str) -> dict[str, Any] | None:
    """Return an event as ``lair tail --json`` prints it, or None for one that is gone."""
    line = catalog.message_of(event)
    if line.kind == "gone":
        return None
    return {
        "room": room,
        "seq": event.seq,
        "at": event.at,
        "from": event.name,
        "kind": line.kind,
        "text": line.text,
    }


class Service:
    """Sends and follows on behalf of other programs, through the link that is online here."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tickets = 0
        self._waiting: dict[int, Deferred[dict[str, Any]]] = {}

    async def send(self, room: str, text: str, *, action: bool = False) -> dict[str, Any]:
        """Queue a message; answers once it is on the server's disk, with its sequence."""
        if not text.strip():
            raise refusals.TextEmpty
        if len(text) > limits.MESSAGE_CHARS:
            raise refusals.TextLong(size=len(text), limit=limits.MESSAGE_CHARS)
        info = self._link.rooms.by_name(room)
        if info is None:
            raise refusals.RoomUnknown
        self._tickets -= 1
        # Far below the tickets that a restored queue gets, and never the core's positive ones.
        ticket = self._tickets - 1_000_000
        answer: Deferred[dict[str, Any]] = Deferred()
        self._waiting[ticket] = answer
        self._link.submit(ticket, info.room, text, self._sent, action=action)
        return await answer

    def _sent(self, ticket: int, result: wire.Sent | Refusal) -> None:
        answer = self._waiting.pop(ticket, None)
        if answer is None:
            return
        if isinstance(result, Refusal):
            answer.errback(result)
        else:
            answer.callback({"seq": result.seq, "at": result.at})

    async def tail(
        self, room: str | None, after: int | None, emit: Callable[[dict[str, Any]], None]
    ) -> Callable[[], None]:
        """Emit what follows; returns what ends it.  With ``after`` the log is read from there."""
        wanted: int | None = None
        if room is not None:
            info = self._link.rooms.by_name(room)
            if info is None:
                raise refusals.RoomUnknown
            wanted = info.room
        seen = {wanted: after or 0} if wanted is not None else {}
        early: list[wire.LogEvent] | None = [] if wanted is not None and after is not None else None

        def watch(event: wire.LogEvent) -> None:
            nonlocal early
            if wanted is not None and event.room != wanted:
                return
            if early is not None:
                early.append(event)
                return
            show(event)

        def show(event: wire.LogEvent) -> None:
            if event.seq <= seen.get(event.room, 0):
                return
            seen[event.room] = event.seq
            shown = event_object(event, self._name(event.room))
            if shown is not None:
                emit(shown)

        self._link.watchers.append(watch)
        if early is not None and wanted is not None:
            try:
                await self._history(wanted, after or 0, show)
            except Refusal:
                self._link.watchers.remove(watch)
                raise
            held, early = early, None
            for event in held:
                show(event)
        return lambda: self._link.watchers.remove(watch)

    async def _history(self, room: int, after: int, show: Callable[[wire.LogEvent], None]) -> None:
        more = True
        while more:
            page: wire.Page = await self._link.ask(
                wire.HISTORY, wire.History(room, after=after, limit=limits.HISTORY_PAGE)
            )
            for event in page.events:
                show(event)
                after = event.seq
            more = page.more and bool(page.events)

    def _name(self, room: int) -> str:
        info = self._link.rooms.infos.get(room)
        if info is None:
            return f"?{room}"
        return f"@{info.name}" if info.kind == "direct" else f"#{info.name}"


class Slot(LineReceiver):
    """One program that asks."""

    delimiter = b"\n"
    MAX_LENGTH = LINE_BYTES
    log = Logger()

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ends: list[Callable[[], None]] = []
        self._queued = 0

    def lineReceived(self, line: bytes) -> None:
        """Take one request."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("a request is an object")
            work = self._carry_out(request)
        except (ValueError, TypeError, RecursionError):
            self._answer({"error": "LC-DECODE", "text": "a request is one JSON object a line"})
            return
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Refuse a line that is too long to hold one message."""
        self._answer({"error": "LC-TEXT-LONG", "text": "the line is too long"})
        self.transport.loseConnection()  # type: ignore[union-attr]

    async def _carry_out(self, request: dict[str, Any]) -> None:
        try:
            match request:
                case {"op": "send", "room": str(room), "text": str(text)}:
                    action = request.get("action") is True
                    self._answer({"ok": await self._service.send(room, text, action=action)})
                case {"op": "tail"}:
                    which, after = request.get("room"), request.get("after")
                    self._ends.append(
                        await self._service.tail(
                            which if isinstance(which, str) else None,
                            after if isinstance(after, int) else None,
                            lambda shown: self._answer({"event": shown}),
                        )
                    )
                case _:
                    self._answer({"error": "LC-COMMAND-UNKNOWN", "text": "send or tail"})
        except Refusal as refusal:
            self._answer({"error": refusal.code, "text": refusal.text})

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a request on the profile's socket failed", failure)
        self._answer({"error": "LC-INTERNAL", "text": "the request failed"})

    def _answer(self, answer: dict[str, Any]) -> None:
        if self.transport is not None and self.connected:
            self.sendLine(json.dumps(answer).encode("ascii"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Stop following for it."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()


class SlotFactory(Factory):
    """Makes a slot for each program that connects."""

    noisy = False

    def __init__(self, service: Service) -> None:
        self._service = service

    def buildProtocol(self, addr: Any) -> Slot:  # noqa: ARG002
        """Make a slot."""
        return Slot(self._service)


def listen(reactor: Any, path: Path, link: Link) -> IListeningPort:
    """Serve the profile's socket; the holder of the lock may replace a dead one's socket file."""
    parent = path.parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = parent.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise faults.ProfileBroken(path=parent, why="others may write there")
    path.unlink(missing_ok=True)
    port: IListeningPort = reactor.listenUNIX(str(path), SlotFactory(Service(link)), mode=0o600)
    return port
