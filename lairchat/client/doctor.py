"""``lair doctor HOST``: says step by step what can be seen of a server, and where it stops.

Nothing is remembered and nobody logs in: it connects to that host and port, reads the server's
hello, measures a few pings and says goodbye.
Of this device it says what its store holds: identity, pins, key packages, the groups of its rooms.
Exit status by sysexits: 0 all well, 68 no such host, 69 not reachable, 76 something else answers or
its proof fails, 77 the identity is not the remembered one.
"""

import datetime as dt
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from lairchat import __version__
from lairchat.client.cli import wall_clock
from lairchat.client.holding import holder_of
from lairchat.client.profile import Profile
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.sealed.opening import Opening
from lairchat.client.sealed.report import Line, report
from lairchat.client.tls import PeerFacts, Pinned, TLSMode, Verified, connect, verify_identity
from lairchat.model import limits
from lairchat.model.faults import NetUnreachable, TlsPin
from lairchat.model.identity import ServerId, format_address
from lairchat.model.refusal import Refusal, received
from lairchat.model.text import display_clip
from lairchat.wire.errors import ProtocolError
from lairchat.wire.objects import Error, ServerBye, ServerFrame, ServerHello, ServerPing, ServerPong
from lairchat.wire.session import ClientSession

PINGS = 5
"""count: round trips of which the median is shown."""
CLOCK_MS = 60_000
"""ms: difference of the clocks that is worth a remark."""
RENEWAL_DAYS = 14
"""days: a certificate with fewer left is worth a remark."""
DAY_MS = 86_400_000

OK, NOTE, FAIL = "ok", "note", "FAIL"
_EXITS = (
    ("LC-NET-NAME", os.EX_NOHOST),
    ("LC-NET", os.EX_UNAVAILABLE),
    ("LC-TLS-PIN", os.EX_NOPERM),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: how it stands, what was looked at, what was seen."""

    mark: str
    what: str
    text: str


@dataclass(slots=True)
class Examination:
    """What has been seen so far; what is None was not reached.

    latency: seconds, median of :data:`PINGS` round trips.
    clock: ms that this computer's clock is ahead of the server's.
    refusal: where it stopped, and why.
    """

    host: str
    port: int
    mode: TLSMode
    pin: ServerId | None = None
    facts: PeerFacts | None = None
    hello: ServerHello | None = None
    identity: ServerId | None = None
    latency: float | None = None
    clock: int | None = None
    refusal: Refusal | None = None

    @property
    def address(self) -> str:
        """Host and port as people write them."""
        return format_address(self.host, self.port)


def findings(seen: Examination, now: int) -> list[Finding]:
    """Return the report, line by line; ``now`` is the wall clock in ms."""
    lines = []
    refusal = seen.refusal
    if refusal is None or not refusal.code.startswith("LC-NET") or seen.facts is not None:
        lines.append(Finding(OK, "reachable", seen.address))
    if seen.facts is not None:
        lines += _tls_findings(seen.facts, seen.mode, now)
    if seen.identity is not None:
        lines += _identity_findings(seen.identity, seen.pin)
    if seen.hello is not None:
        lines.append(_protocol_finding(seen.hello))
    if seen.latency is not None:
        lines.append(Finding(OK, "latency", f"{seen.latency * 1000:.1f} ms"))
    if seen.clock is not None:
        lines.append(_clock_finding(seen.clock))
    if refusal is not None:
        lines.append(Finding(FAIL, refusal.code, refusal.text))
    return lines


def render(lines: list[Finding]) -> str:
    """Return the report as text, one finding a line."""
    return "".join(f"  {line.mark:<5} {line.what:<12} {line.text}\n" for line in lines)


def exit_status(refusal: Refusal | None) -> int:
    """Return the sysexits status for where it stopped."""
    if refusal is None:
        return os.EX_OK
    found = (status for prefix, status in _EXITS if refusal.code.startswith(prefix))
    return next(found, os.EX_PROTOCOL)


async def doctor(
    reactor: Any,
    host: str,
    port: int,
    *,
    pin: ServerId | None,
    out: TextIO,
    mode: TLSMode | None = None,
    now: Callable[[], int] = wall_clock,
    seconds: float = limits.DIAL_SECONDS,
) -> int:
    """Examine a server, print what is found, and return the exit status.

    pin: the identity remembered for the address, or None.
    """
    seen = Examination(host, port, mode or Pinned(), pin)
    try:
        await examine(reactor, seen, now, seconds)
    except Refusal as refusal:
        seen.refusal = refusal
    out.write(f"lair doctor {seen.address}\n" + render(findings(seen, now())))
    return exit_status(seen.refusal)


async def device(reactor: Any, profile: Profile, out: TextIO, now: int | None = None) -> None:
    """Print what there is to say of this device's encrypted side: by whoever holds the profile."""
    lines = await _by_holder(reactor, profile)
    if lines is None:
        lines = _by_ourselves(profile, wall_clock() if now is None else now)
    out.write(f"this device, as {profile.account}\n")
    out.write(render([Finding(*line) for line in lines]))


async def _by_holder(reactor: Any, profile: Profile) -> list[Line] | None:
    """Ask the process that holds the profile; None if there is none."""
    answered: Deferred[dict[str, Any]] = Deferred()

    def take(answer: dict[str, Any]) -> None:
        if not answered.called:
            answered.callback(answer)

    caller = await holder_of(reactor, profile, take, lambda: take({}))
    if caller is None:
        return None
    caller.ask({"op": "doctor"})
    answer = await answered.addTimeout(limits.DIAL_SECONDS, reactor, lambda *_: {})
    caller.close()
    lines = answer.get("ok", {}).get("lines", [])
    return [Line(*map(str, line)) for line in lines]


def _by_ourselves(profile: Profile, now: int) -> list[Line]:
    opening = Opening(profile, Keyring(), os.urandom)
    if opening.is_new:
        return [Line(NOTE, "device", "no encrypted store yet: start lair once")]
    profile.lock()
    try:
        store = opening.by_itself()
        if store is None:
            return [Line(NOTE, "store", "locked: lair unlock, then look again")]
        try:
            return report(store, now)
        finally:
            store.close()
    finally:
        profile.unlock()


async def examine(reactor: Any, seen: Examination, now: Callable[[], int], seconds: float) -> None:
    """Look at one thing after the other and note it in ``seen``; raises where it has to stop."""
    checkup = _Checkup()
    facts = await connect(reactor, seen.host, seen.port, seen.mode, checkup, seconds=seconds)
    seen.facts = facts
    late = reactor.callLater(seconds, checkup.fail, f"no answer within {seconds:g} s")
    try:
        begun = reactor.seconds()
        hello = seen.hello = await checkup.greet()
        way = (reactor.seconds() - begun) / 2
        seen.clock = now() - round(way * 1000) - hello.now
        seen.identity = verify_identity(seen.host, hello.identity, facts.spki_sha256, now())
        seen.latency = statistics.median([await checkup.ping(reactor) for _ in range(PINGS)])
        if seen.pin not in (None, seen.identity):
            old, new = seen.pin.words(), seen.identity.words()
            raise TlsPin(old=" ".join(old), new=" ".join(new))
    except _ClosedError as closed:
        raise NetUnreachable(address=seen.address, why=str(closed), host=seen.host) from None
    finally:
        if late.active():
            late.cancel()
        checkup.leave()


class _ClosedError(Exception):
    """The server hung up, or said nothing, where something was expected."""


class _Checkup(Protocol):
    """A session that greets, pings and leaves."""

    def __init__(self) -> None:
        self._session = ClientSession()
        self._waiting: Deferred[Any] | None = None
        self._refusal: Exception | None = None

    def greet(self) -> Deferred[ServerHello]:
        return self._ask(self._session.hello(f"lair doctor {__version__}"))

    async def ping(self, reactor: Any) -> float:
        begun: float = reactor.seconds()
        await self._ask(self._session.ping())
        end: float = reactor.seconds()
        return end - begun

    def leave(self) -> None:
        assert self.transport is not None
        if self._refusal is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]
        else:
            self._write(self._session.bye())
            self.transport.loseConnection()

    def fail(self, why: str) -> None:
        self._end(_ClosedError(why))

    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._session.receive(data):
                self._take(frame)
        except ProtocolError as error:
            self._end(received(error.code, error.text))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        word = "closed" if reason.check(ConnectionDone) else "cut"
        self._end(_ClosedError(f"the server {word} the connection"))

    def _take(self, frame: ServerFrame) -> None:
        match frame:
            case ServerHello() | ServerPong():
                self._answer(frame)
            case ServerPing():
                self._write(self._session.pong(frame))
            case Error() | ServerBye():
                self._end(received(frame.code, frame.text))

    def _ask(self, data: bytes) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._waiting = answer
        self._write(data)
        return answer

    def _write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def _answer(self, frame: ServerFrame) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(frame)

    def _end(self, why: Exception) -> None:
        self._refusal = self._refusal or why
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(self._refusal)


def _tls_findings(facts: PeerFacts, mode: TLSMode, now: int) -> list[Finding]:
    hybrid = "MLKEM" in facts.group.upper()
    words = [facts.version, facts.cipher, facts.group, f"ALPN {facts.alpn}"]
    lines = [Finding(OK, "TLS", ", ".join(words))]
    if not hybrid:
        text = f"{facts.group} alone: recorded traffic is not safe from quantum computers"
        lines.append(Finding(NOTE, "key agreement", text))
    return [*lines, _certificate_finding(facts, mode, now)]


def _certificate_finding(facts: PeerFacts, mode: TLSMode, now: int) -> Finding:
    end = dt.datetime.fromtimestamp(facts.not_after / 1000, dt.UTC)
    days = (facts.not_after - now) // DAY_MS
    vouched = ", an authority vouches for it" if isinstance(mode, Verified) else ""
    text = f"{display_clip(facts.subject, 80)}, until {end:%Y-%m-%d} ({days} days){vouched}"
    if not facts.not_before <= now < facts.not_after:
        return Finding(NOTE, "certificate", f"{text}: not valid now; the identity still counts")
    return Finding(OK if days >= RENEWAL_DAYS else NOTE, "certificate", text)


def _identity_findings(server: ServerId, pin: ServerId | None) -> list[Finding]:
    lines = [
        Finding(OK, "identity", " ".join(server.words())),
        Finding(OK, "sha256", server.fingerprint),
    ]
    if pin is None:
        text = "not known here yet: compare the words with what its operator shows you"
        return [*lines, Finding(NOTE, "pin", text)]
    if pin == server:
        return [*lines, Finding(OK, "pin", "remembered, and the same")]
    return [*lines, Finding(FAIL, "pin", f"CHANGED, was: {' '.join(pin.words())}")]


def _protocol_finding(hello: ServerHello) -> Finding:
    name, server = display_clip(hello.name, 40), display_clip(hello.server, 40)
    registration = display_clip(hello.registration, 20)
    text = f"lair/{hello.version}, {name} ({server}), registration: {registration}"
    return Finding(OK, "protocol", text)


def _clock_finding(ahead: int) -> Finding:
    if abs(ahead) < CLOCK_MS:
        return Finding(OK, "clock", f"{abs(ahead) / 1000:.1f} s apart")
    way = "ahead of" if ahead > 0 else "behind"
    text = f"this computer is {abs(ahead) // 1000} s {way} the server: one of them is wrong"
    return Finding(NOTE, "clock", text)
