"""``lair send``, ``lair tail``, ``lair invite``: chat from scripts, beside a client or without.

Whoever holds the profile serves its socket; these commands use it, and become the holder when
nobody is (architecture.md, decision 7).  They never move the read cursor.
Exit status by sysexits: 0 done, 64 usage, 65 refused text, 69 no server, 75 later, 77 not allowed,
78 profile; 130 interrupted.
"""

import json
import os
import select
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from time import localtime, strftime
from typing import Any, TextIO, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.cli import wall_clock
from lairchat.client.link import Dialer, Link, Target
from lairchat.client.mailslot import LINE_BYTES, Mailslot, Service, listen
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.sendqueue import RANDOM_BYTES
from lairchat.model import faults, limits, refusals
from lairchat.model.identity import format_address
from lairchat.model.ids import command_id
from lairchat.model.refusal import Refusal, received
from lairchat.model.text import display_safe

Rep = TypeVar("Rep")

#: How often a command tries to reach the holder of the profile, or to become it.
ATTEMPTS = 5
TAKING_SECONDS = 0.3
#: How often lair tail looks whether somebody still reads what it prints.
LOOK_SECONDS = 1.0
#: How long a command waits for a server that cannot be reached before it gives up.
PATIENCE_SECONDS = 20.0
_EXITS = {
    "LC-ADDRESS": os.EX_USAGE,
    "LC-LINK": os.EX_USAGE,
    "LC-NO-TERMINAL": os.EX_USAGE,
    "LC-ARGS": os.EX_DATAERR,
    "LC-ID": os.EX_DATAERR,
    "LC-TEXT": os.EX_DATAERR,
    "LC-NET": os.EX_UNAVAILABLE,
    "LC-TLS": os.EX_UNAVAILABLE,
    "LC-VERSION": os.EX_UNAVAILABLE,
    "LC-BUSY": os.EX_TEMPFAIL,
    "LC-CONNECTIONS": os.EX_TEMPFAIL,
    "LC-RATE": os.EX_TEMPFAIL,
    "LC-SHUTDOWN": os.EX_TEMPFAIL,
    "LC-STORE": os.EX_TEMPFAIL,
    "LC-TIMEOUT": os.EX_TEMPFAIL,
    "LC-AUTH": os.EX_NOPERM,
    "LC-BANNED": os.EX_NOPERM,
    "LC-DENIED": os.EX_NOPERM,
    "LC-NOT": os.EX_NOPERM,
    "LC-ROOM": os.EX_NOPERM,
    "LC-PROFILE": os.EX_CONFIG,
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

    def close(self) -> None:
        """End it."""
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Note that the holder is gone."""
        self._lost()


class Session:
    """A profile in use by a command: through its holder, or as its holder."""

    def __init__(
        self, reactor: Any, dialer: Dialer, known: KnownServers, target: Target, root: Path
    ) -> None:
        self.reactor = reactor
        self._dialer = dialer
        self._known = known
        self._target = target
        self._root = root
        self.link: Link | None = None
        self._mailslot: Mailslot | None = None
        self._ready: Deferred[None] | None = None
        self._over: Refusal | None = None
        self._waiting: list[Deferred[Any]] = []

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
        profile.lock()
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
        link.use_profile(profile, profile.outbox())
        timer = self.reactor.callLater(PATIENCE_SECONDS, self._too_late)
        link.start()
        try:
            await self._ready
        finally:
            if timer.active():
                timer.cancel()
        self._mailslot = listen(self.reactor, profile.socket, link)
        return Service(link)

    def _too_late(self) -> None:
        address = format_address(self._target.host, self._target.port)
        timeout = faults.NetTimeout(address=address, host=self._target.host)
        assert self.link is not None
        self._fail(self.link.reason or timeout)

    def _input(self, one: inputs.Input) -> None:
        """Watch the link come up; what cannot be asked of a script ends it."""
        match one:
            case inputs.RoomsSynced():
                if self._ready is not None and not self._ready.called:
                    self._ready.callback(None)
            case inputs.Halted(code, text):
                self._fail(received(code, text))
            case inputs.IdentityChanged(old_words, new_words):
                self._fail(faults.TlsPin(old=old_words, new=new_words))
            case inputs.LoggedOut(text):
                self._fail(received(refusals.AuthToken.code, text))
            case inputs.TrustQuestion() | inputs.AccountNeeded():
                self._fail(faults.ProfileMissing())

    def _fail(self, refusal: Refusal) -> None:
        """End what is being done for this reason: it will not come right by waiting."""
        if self._ready is not None and not self._ready.called:
            self._ready.errback(refusal)
        elif self._over is None:
            self._over = refusal
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.errback(refusal)

    def unless_over(self, work: Coroutine[Any, Any, Rep]) -> "Deferred[Rep]":
        """Return what the work returns, or fail as soon as it can never be done here."""
        outcome: Deferred[Rep] = Deferred()
        if self._over is not None:
            work.close()
            outcome.errback(self._over)
            return outcome
        self._waiting.append(outcome)

        def done(result: Rep | Failure) -> None:
            if outcome in self._waiting:
                self._waiting.remove(outcome)
                outcome.callback(result)  # a Failure fails it

        Deferred.fromCoroutine(work).addBoth(done)
        return outcome

    async def close(self) -> None:
        """Leave in order."""
        if self._mailslot is not None:
            await self._mailslot.close()
        if self.link is not None:
            await self.link.stop()


async def ask(
    session: Session,
    request: dict[str, Any],
    work: Callable[[Service], Coroutine[Any, Any, dict[str, Any]]],
) -> dict[str, Any]:
    """Ask the holder of the profile, or do the work as its holder; a holder may end meanwhile."""
    for _ in range(ATTEMPTS):
        answered: Deferred[dict[str, Any]] = Deferred()
        answer: dict[str, Any] | None = None
        caller = await session.holder(partial(_first, answered), partial(_first, answered, {}))
        if caller is not None:
            caller.ask(request)
            answer = await answered
            caller.close()
            if "error" in answer:
                raise received(answer["error"], answer.get("text", ""))
            if "ok" in answer:
                ok: dict[str, Any] = answer["ok"]
                return ok
            continue  # it ended before it answered: the request can be repeated without harm
        try:
            service = await session.hold()
        except faults.ProfileLocked:
            # Somebody took it this moment and does not listen yet.
            await deferLater(session.reactor, TAKING_SECONDS)
            continue
        return await session.unless_over(work(service))
    raise faults.ProfileLocked(path=session.profile().directory)


def _first(answered: "Deferred[dict[str, Any]]", answer: dict[str, Any]) -> None:
    if not answered.called:
        answered.callback(answer)


async def send(session: Session, room: str, text: str, *, action: bool = False) -> dict[str, Any]:
    """Send one message; returns its sequence and time once it is on the server's disk."""
    key = command_id(wall_clock(), os.urandom(RANDOM_BYTES))
    request = {"op": "send", "room": room, "text": text, "action": action, "key": key.hex()}
    return await ask(
        session, request, lambda service: service.send(room, text, action=action, key=key)
    )


async def invite(session: Session, uses: int) -> dict[str, Any]:
    """Make an invite link; returns it, and what to know of it."""
    request = {"op": "invite", "uses": uses}
    return await ask(session, request, lambda service: service.invite(uses))


class Printer:
    """Prints events as lines, for people or as JSON, and knows where it stands.

    last: the sequence of the last event that was printed, or is not to be printed.
    closed: nobody reads any more.
    """

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._until: list[Deferred[None]] = []
        self.last: int | None = None
        self.closed = False

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event."""
        if self.closed:
            return
        self.last = event["seq"]
        try:
            self._out.write(f"{self._line(event)}\n")
            self._out.flush()
        except BrokenPipeError:
            self.close()

    def close(self) -> None:
        """Print nothing more: as in "lair tail ROOM | head", what wanted it has had enough."""
        self.closed = True
        until, self._until = self._until, []
        for one in until:
            one.callback(None)

    def look(self) -> None:
        """Close when nobody can read any more what is printed; that is not told by itself."""
        try:
            number = self._out.fileno()
        except (OSError, ValueError):  # no file: a test's
            return
        poll = select.poll()
        poll.register(number, 0)
        if any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            self.close()

    def _line(self, event: dict[str, Any]) -> str:
        if self._as_json:
            # ASCII only: whoever looks at it with a terminal is as safe as with the other form.
            return json.dumps(event, sort_keys=True)
        when = strftime("%H:%M", localtime(event["at"] / 1000))
        room = display_safe(event["room"]).removeprefix("#")
        who, text = display_safe(event["from"]), display_safe(event["text"])
        if event["kind"] == "text":
            return f"{when} {who} in {room}: {text}"
        if event["kind"] == "action":
            return f"{when} * {who} in {room} {text}"
        return f"{when} -- in {room}: {text}"

    async def until_closed(self) -> None:
        """Wait until nobody reads any more."""
        if not self.closed:
            closed: Deferred[None] = Deferred()
            self._until.append(closed)
            await closed


async def tail(session: Session, room: str, printer: Printer) -> None:
    """Follow a room until it cannot be followed, or nobody reads what is printed.

    When the holder of the profile ends, this process takes over where it stands.
    """
    looking = LoopingCall(printer.look)
    looking.clock = session.reactor
    looking.start(LOOK_SECONDS)
    try:
        await _tail(session, room, printer)
    finally:
        looking.stop()


async def _tail(session: Session, room: str, printer: Printer) -> None:
    while not printer.closed:
        if not await _tail_beside(session, room, printer):
            try:
                service = await session.hold()
            except faults.ProfileLocked:
                await deferLater(session.reactor, TAKING_SECONDS)
                continue
            await session.unless_over(service.tail(room, printer.last, printer))
            await session.unless_over(printer.until_closed())


async def _tail_beside(session: Session, room: str, printer: Printer) -> bool:
    """Follow through the holder until that ends; False when there is no holder."""
    ended: Deferred[Refusal | None] = Deferred()

    def take(answer: dict[str, Any]) -> None:
        if "event" in answer:
            printer(answer["event"])
        elif "ok" in answer and printer.last is None:
            printer.last = answer["ok"]["after"]
        elif "error" in answer and not ended.called:
            ended.callback(received(answer["error"], answer.get("text", "")))

    def lost() -> None:
        if not ended.called:
            ended.callback(None)

    caller = await session.holder(take, lost)
    if caller is None:
        return False
    caller.ask({"op": "tail", "room": room, "after": printer.last})
    Deferred.fromCoroutine(printer.until_closed()).addCallback(lambda _: lost())
    refusal = await ended
    caller.close()
    if refusal is not None:
        raise refusal
    return True


def read_text(argument: str | None, stream: TextIO) -> str:
    """Return the message to send: the argument, or standard input without its last newline."""
    if argument is not None:
        return argument
    if stream.isatty():
        raise faults.NoTerminal(what="the text", command="lair send ROOM TEXT")
    # As bytes: what is not UTF-8 shall become a message with marks in it, not a traceback.
    data = stream.buffer.read(limits.MESSAGE_BYTES * 2)
    return data.decode("utf-8", "replace").removesuffix("\n")


def report(refusal: Refusal) -> int:
    """Print a refusal and return the exit status."""
    sys.stderr.write(f"{refusal}\n")
    return exit_status(refusal)
