"""``lair send`` and ``lair tail``: chat from scripts, beside a running client or without one.

Whoever holds the profile serves its socket; these commands use it, and become the holder when
nobody is (architecture.md, decision 7).  They never move the read cursor.
Exit status by sysexits: 0 done, 64 usage, 65 refused text, 69 no server, 77 not allowed, 75 later.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.cli import wall_clock
from lairchat.client.link import Dialer, Link, Target
from lairchat.client.mailslot import LINE_BYTES, Service, listen
from lairchat.client.profile import KnownServers, Profile
from lairchat.model import faults, limits
from lairchat.model.refusal import Refusal, received
from lairchat.model.text import display_safe

#: How long a command waits for a server that cannot be reached before it gives up.
PATIENCE_SECONDS = 20.0
_EXITS = {
    "LC-NET": os.EX_UNAVAILABLE,
    "LC-TLS": os.EX_UNAVAILABLE,
    "LC-PROFILE": os.EX_CONFIG,
    "LC-AUTH": os.EX_NOPERM,
    "LC-TEXT": os.EX_DATAERR,
    "LC-ROOM": os.EX_NOPERM,
    "LC-NOT": os.EX_NOPERM,
    "LC-RATE": os.EX_TEMPFAIL,
    "LC-STORE": os.EX_TEMPFAIL,
}


def exit_status(refusal: Refusal) -> int:
    """Return the sysexits status that a script can act on."""
    return next(
        (status for prefix, status in _EXITS.items() if refusal.code.startswith(prefix)),
        os.EX_SOFTWARE,
    )


class Caller(LineReceiver):
    """Our end of another process's profile socket."""

    delimiter = b"\n"
    MAX_LENGTH = LINE_BYTES * 2

    def __init__(self, take: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> None:
        self._take = take
        self._lost = lost

    def ask(self, request: dict[str, Any]) -> None:
        """Send one request."""
        self.sendLine(json.dumps(request).encode("ascii"))

    def lineReceived(self, line: bytes) -> None:
        """Take one answer."""
        self._take(json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Note that the holder is gone."""
        self._lost()


class Session:
    """A profile in use by a command: through its holder, or as its holder."""

    def __init__(
        self, reactor: Any, dialer: Dialer, known: KnownServers, target: Target, root: Any
    ) -> None:
        self.reactor = reactor
        self._dialer = dialer
        self._known = known
        self._target = target
        self._root = root
        self.link: Link | None = None
        self._port: Any = None
        self._ready: Deferred[None] | None = None

    def profile(self) -> Profile:
        """Return the profile of the target; raises ProfileMissing when nobody logged in there."""
        target = self._target
        server = self._known.pin(target.host, target.port)
        account = target.account or self._known.account(target.host, target.port)
        if server is None or not account:
            raise faults.ProfileMissing
        profile = Profile(self._root, server, account)
        if profile.session() is None:
            raise faults.ProfileMissing
        self._target.account = account
        return profile

    async def holder(
        self, take: Callable[[dict[str, Any]], None], lost: Callable[[], None]
    ) -> Caller | None:
        """Connect to the process that holds the profile; None when there is none."""
        path = self.profile().socket
        factory = Factory.forProtocol(lambda: Caller(take, lost))
        endpoint = UNIXClientEndpoint(self.reactor, str(path), timeout=5)
        try:
            caller: Caller = await endpoint.connect(factory)
        except ConnectError:
            return None
        return caller

    async def hold(self) -> Service:
        """Become the holder: take the lock, connect, serve the socket for others."""
        profile = self.profile()
        self._ready = Deferred()
        link = self.link = Link(
            self.reactor,
            self._dialer,
            self._target,
            self._known,
            lambda server, account: Profile(self._root, server, account),
            deliver=self._input,
            now=wall_clock,
            random=os.urandom,
        )
        profile.lock()
        link.profile = profile
        link.queue.restore(profile.outbox())
        timer = self.reactor.callLater(PATIENCE_SECONDS, self._too_late)
        link.start()
        try:
            await self._ready
        finally:
            if timer.active():
                timer.cancel()
        self._port = listen(self.reactor, profile.socket, link)
        return Service(link)

    def _too_late(self) -> None:
        self._fail(
            self._reason
            or faults.NetTimeout(
                address=f"{self._target.host}:{self._target.port}", host=self._target.host
            )
        )

    _reason: Refusal | None = None

    def _input(self, one: inputs.Input) -> None:
        """Watch the link come up; what cannot be asked of a script ends it."""
        match one:
            case inputs.RoomsSynced():
                if self._ready is not None and not self._ready.called:
                    self._ready.callback(None)
            case inputs.Disconnected(code, text):
                self._reason = received(code, text)
            case inputs.Halted(code, text):
                self._fail(received(code, text))
            case inputs.IdentityChanged(old_words, new_words):
                self._fail(faults.TlsPin(old=old_words, new=new_words))
            case inputs.TrustQuestion() | inputs.AccountNeeded() | inputs.LoggedOut():
                self._fail(faults.ProfileMissing())

    def _fail(self, refusal: Refusal) -> None:
        if self._ready is not None and not self._ready.called:
            self._ready.errback(refusal)

    async def close(self) -> None:
        """Leave in order."""
        if self._port is not None:
            await self._port.stopListening()
        if self.link is not None:
            await self.link.stop()


async def send(session: Session, room: str, text: str, *, action: bool = False) -> dict[str, Any]:
    """Send one message; returns its sequence and time once it is on the server's disk."""
    answered: Deferred[dict[str, Any]] = Deferred()

    def take(answer: dict[str, Any]) -> None:
        if not answered.called:
            answered.callback(answer)

    def lost() -> None:
        if not answered.called:
            answered.errback(faults.NetLost(address="the running client"))

    for _ in range(3):
        caller = await session.holder(take, lost)
        if caller is not None:
            caller.ask({"op": "send", "room": room, "text": text, "action": action})
            answer = await answered
            caller.transport.loseConnection()  # type: ignore[union-attr]
            if "error" in answer:
                raise received(answer["error"], answer.get("text", ""))
            ok: dict[str, Any] = answer["ok"]
            return ok
        try:
            service = await session.hold()
        except faults.ProfileLocked:
            # Somebody took it this moment and does not listen yet.
            await deferLater(session.reactor, 0.3)
            continue
        return await service.send(room, text, action=action)
    raise faults.ProfileLocked(path=session.profile().directory)


class Printer:
    """Prints events as lines, for people or as JSON, and knows where it stands."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self.last: int | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event."""
        self.last = event["seq"]
        if self._as_json:
            line = json.dumps(event, ensure_ascii=False, sort_keys=True)
        else:
            from time import localtime, strftime

            when = strftime("%H:%M", localtime(event["at"] / 1000))
            room = display_safe(event["room"]).removeprefix("#")
            who, text = display_safe(event["from"]), display_safe(event["text"])
            line = {
                "text": f"{when} {who} in {room}: {text}",
                "action": f"{when} * {who} in {room} {text}",
            }.get(event["kind"], f"{when} -- in {room}: {text}")
        self._out.write(f"{line}\n")
        self._out.flush()


async def tail(session: Session, room: str, printer: Printer) -> None:
    """Follow a room until cancelled; when the holder ends, this process takes over."""
    while True:
        ended: Deferred[None] = Deferred()
        refused: list[Refusal] = []

        def take(
            answer: dict[str, Any], ended: Deferred[None] = ended, refused: list[Refusal] = refused
        ) -> None:
            if "event" in answer:
                printer(answer["event"])
            elif "error" in answer:
                refused.append(received(answer["error"], answer.get("text", "")))
                if not ended.called:
                    ended.callback(None)

        def lost(ended: Deferred[None] = ended) -> None:
            if not ended.called:
                ended.callback(None)

        caller = await session.holder(take, lost)
        if caller is not None:
            caller.ask({"op": "tail", "room": room, "after": printer.last})
            await ended
            if refused:
                raise refused[0]
            continue
        try:
            service = await session.hold()
        except faults.ProfileLocked:
            await deferLater(session.reactor, 0.3)
            continue
        await service.tail(room, printer.last, printer)
        await Deferred()  # until the process is told to end


def read_text(argument: str | None, stream: TextIO) -> str:
    """Return the message to send: the argument, or standard input without its last newline."""
    if argument is not None:
        return argument
    if stream.isatty():
        raise faults.NoTerminal(what="the text", command="lair send ROOM TEXT")
    return stream.read(limits.MESSAGE_CHARS * 4 + 1).removesuffix("\n")


def report(refusal: Refusal) -> int:
    """Print a refusal and return the exit status."""
    sys.stderr.write(f"{refusal}\n")
    return exit_status(refusal)
