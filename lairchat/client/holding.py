"""A profile in use by a command: through the process that holds it, or as its holder.

Whoever holds the profile serves its socket; a command uses that, and becomes the holder when
nobody is (architecture.md, decision 7).
Promises not to know: what is asked, how answers are printed.
"""

import json
import os
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from lairchat.client import inputs
from lairchat.client.cli import PATIENCE_SECONDS, wall_clock
from lairchat.client.link import Dialer, Link, Target
from lairchat.client.mailslot import LINE_BYTES, Mailslot, Service, listen
from lairchat.client.profile import KnownServers, Profile, require_private
from lairchat.model import faults, refusals
from lairchat.model.identity import format_address
from lairchat.model.refusal import Refusal, received

Rep = TypeVar("Rep")

#: How often a command tries to become the holder of a profile that somebody else has just taken.
TAKING_SECONDS = 0.3


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


async def holder_of(
    reactor: Any,
    profile: Profile,
    take: Callable[[dict[str, Any]], None],
    lost: Callable[[], None],
) -> Caller | None:
    """Connect to the process that holds a profile; None when there is none."""
    path = profile.socket
    if not path.parent.exists():
        return None
    # In the runtime directory somebody else could have put it there before us.
    require_private(path.parent)
    factory = Factory.forProtocol(lambda: Caller(take, lost))
    endpoint = UNIXClientEndpoint(reactor, str(path), timeout=5)
    try:
        caller: Caller = await endpoint.connect(factory)
    except ConnectError:
        return None
    return caller


class Session:
    """A profile in use by a command: through its holder, or as its holder.

    patience: seconds to wait for an answer.
    """

    def __init__(
        self,
        reactor: Any,
        dialer: Dialer,
        known: KnownServers,
        target: Target,
        root: Path,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.reactor = reactor
        self._dialer = dialer
        self._known = known
        self._target = target
        self._root = root
        self.patience = patience
        self.link: Link | None = None
        #: What there is to say of a holder that does not answer.
        self.taken: Refusal | None = None
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
        return await holder_of(self.reactor, self.profile(), take, lost)

    async def hold(self) -> Service:
        """Become the holder: take the lock, connect, serve the socket for others."""
        profile = self.profile()
        try:
            profile.lock()
        except faults.ProfileLocked as refusal:
            self.taken = refusal
            raise
        self.taken = None
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
        timer = self.reactor.callLater(self.patience, self._too_late)
        link.start()
        try:
            await self._ready
        finally:
            if timer.active():
                timer.cancel()
        self._mailslot = listen(self.reactor, profile.socket, link)
        return Service(link)

    def _too_late(self) -> None:
        self._fail(self.no_answer())

    def no_answer(self) -> Refusal:
        """Say why there was no answer in time."""
        return self.hindrance or faults.NetTimeout(address=self.address, host=self._target.host)

    @property
    def address(self) -> str:
        """The server's address, as people write it."""
        return format_address(self._target.host, self._target.port)

    @property
    def hindrance(self) -> Refusal | None:
        """What keeps this from being done at this moment, where that is known."""
        return self.taken or (self.link.reason if self.link is not None else None)

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
        waiting = self._waiting[:]
        self._waiting.clear()
        for one in waiting:
            one.errback(refusal)

    def unless_over(self, work: Coroutine[Any, Any, Rep]) -> "Deferred[Rep]":
        """Return what the work returns, or fail as soon as it can never be done here."""
        outcome: Deferred[Rep] = Deferred(self._waiting.remove)
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
    late: Callable[[], Refusal],
    told: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Ask the holder of the profile, or do the work as its holder; a holder may end meanwhile.

    late: says what is to be raised when there is no answer in time.
    told: called with what a holder says before it answers.
    """
    asking = Deferred.fromCoroutine(_ask(session, request, work, told))
    try:
        return await asking.addTimeout(session.patience, session.reactor, _timed_out)
    except defer.TimeoutError:
        raise late() from None


def _timed_out(result: Any, _seconds: float) -> Any:
    """Call every failure after the time was up a time-out: a connection has an error of its own."""
    return Failure(defer.TimeoutError()) if isinstance(result, Failure) else result


async def _ask(
    session: Session,
    request: dict[str, Any],
    work: Callable[[Service], Coroutine[Any, Any, dict[str, Any]]],
    told: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    while True:
        answer = await _ask_holder(session, request, told)
        if answer:
            return answer
        if answer is not None:
            continue  # it ended before it answered: the request can be repeated without harm
        try:
            service = await session.hold()
        except faults.ProfileLocked:
            # Somebody took it this moment and does not listen yet.
            await deferLater(session.reactor, TAKING_SECONDS)
            continue
        return await session.unless_over(work(service))


async def _ask_holder(
    session: Session, request: dict[str, Any], told: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """Return the holder's answer; an empty one when it ended without, None when there is none."""
    answered: Deferred[dict[str, Any]] = Deferred()

    def take(answer: dict[str, Any]) -> None:
        session.taken = None
        if "ok" in answer or "error" in answer:
            _first(answered, answer)
        else:
            told(answer)

    caller = await session.holder(take, partial(_first, answered, {}))
    if caller is None:
        return None
    caller.ask(request)
    session.taken = faults.ProfileLocked(path=session.profile().directory)  # until it answers
    try:
        answer = await answered
    finally:
        caller.close()
    if "error" in answer:
        raise received(answer["error"], answer.get("text", ""))
    ok: dict[str, Any] = answer.get("ok", {})
    return ok


def _first(answered: "Deferred[dict[str, Any]]", answer: dict[str, Any]) -> None:
    if not answered.called:
        answered.callback(answer)
