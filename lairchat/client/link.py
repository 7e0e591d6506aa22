"""The client's side of the network: connects, stays connected, logs in, sends what is queued.

Reports everything as inputs to the pure core and carries out the core's effects.
Promises not to know: the screen.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import catalog, effects, inputs
from lairchat.client.connection import Connection
from lairchat.client.derive import Keys
from lairchat.client.profile import KnownServers, Profile, Session
from lairchat.client.requests import Requests
from lairchat.client.rooms import Rooms
from lairchat.client.secret import Secret
from lairchat.client.sendqueue import Pending, SendQueue
from lairchat.features.accounts import messages as accounts
from lairchat.features.messages import messages as wire
from lairchat.model import faults, limits, refusals
from lairchat.model.identity import ServerId
from lairchat.model.refusal import Refusal
from lairchat.wire.contract import Command
from lairchat.wire.objects import ServerHello

PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
RETRY_GROWTH = 2.0


_FINAL = (
    faults.TlsIdentity,
    faults.TlsHost,
    faults.TlsCa,
    faults.TlsExpired,
    faults.TlsVersion,
    faults.ProfileLocked,
    faults.ProfileBroken,
    refusals.AuthLocked,
)
"""What ends the attempts until somebody acts."""


class Dialer(Protocol):
    """What opens connections; the real one is in dial.py."""

    @property
    def vouched(self) -> bool:
        """Whether somebody else vouches for a server that was never seen (certificate authorities)."""

    async def dial(self, host: str, port: int, connection: Connection) -> bytes:
        """Connect; returns the SHA-256 of the TLS leaf's SPKI once TLS stands."""

    def prove(self, host: str, hello: ServerHello, spki_sha256: bytes) -> ServerId:
        """Return whose hello this is; raises LC-TLS-IDENTITY when it does not prove it."""

    def derive(self, password: str, server: ServerId, name: str) -> "Deferred[Keys]":
        """Derive an account's keys on another thread."""


class Target:
    """Which server and account: from a link, a host, or the last login."""

    __slots__ = ("account", "code", "host", "id_prefix", "port")

    def __init__(
        self, host: str, port: int, *, account: str = "", code: str = "", id_prefix: bytes = b""
    ) -> None:
        self.host = host
        self.port = port
        self.account = account
        self.code = code
        self.id_prefix = id_prefix


class Stop(Exception):  # noqa: N818 - no error: the link has nothing more to try
    """Ends the attempts for good; the reason has been reported."""


class Link:
    """Keeps one account on one server connected.

    reactor: IReactorTime; now: wall clock in ms; random: n -> n random bytes (0 <= jitter).
    deliver: takes every input for the core, in order.
    user_name: what to suggest as the account's name.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        dialer: Dialer,
        target: Target,
        known: KnownServers,
        make_profile: Callable[[ServerId, str], Profile],
        *,
        deliver: Callable[[inputs.Input], None],
        now: Callable[[], int],
        random: Callable[[int], bytes],
        user_name: str = "",
    ) -> None:
        self.reactor = reactor
        self.dialer = dialer
        self.target = target
        self.known = known
        self.make_profile = make_profile
        self.deliver = deliver
        self.now = now
        self.random = random
        self.user_name = user_name
        self.connection: Connection | None = None
        self.server: ServerId | None = None
        self.profile: Profile | None = None
        self.online = False
        self.stopped = False
        self.watchers: list[Callable[[wire.LogEvent], None]] = []
        self.on_profile: Callable[[Profile], None] | None = None
        self.on_stop: list[Callable[[], Any]] = []
        self.queue = SendQueue(self._keep_queue, self._server_now, random)
        self.rooms = Rooms(self.ask, deliver, self._ticket_of, self._watch)
        self.requests = Requests(self)
        self._clock_offset = 0
        self._sent: dict[bytes, int] = {}
        self._results: dict[int, Callable[[int, wire.Sent | Refusal], None]] = {}
        self._sending = False
        self._wait = limits.RECONNECT_SECONDS_MIN / 2
        self._retry: IDelayedCall | None = None
        self._answer: Deferred[effects.Effect] | None = None
        self._lost: Deferred[Refusal] | None = None
        self._pings = LoopingCall(self._ping)
        self._pings.clock = reactor
        self._session_ended = False

    # -- life

    def start(self) -> None:
        """Begin to connect."""
        Deferred.fromCoroutine(self._live()).addErrback(self._broken)

    def stop(self) -> "Deferred[None]":
        """Leave in order; fires when the connection is closed."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.stopped = True
        closing, self.on_stop = self.on_stop, []
        for close in closing:
            close()
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        if self._answer is not None:
            self._answer.cancel()
        lost = self._lost
        if self.connection is not None:
            self.connection.leave()
            if lost is not None:
                self.reactor.callLater(1.0, self._cut)
                await self._until_lost()
        if self.profile is not None:
            self.profile.unlock()

    def _cut(self) -> None:
        if self.connection is not None:
            self.connection.abort(refusals.ShuttingDown(retry_after=0.0))

    async def _until_lost(self) -> None:
        ended: Deferred[None] = Deferred()
        self._on_end = ended
        if self.connection is None:
            return
        await ended

    def _broken(self, failure: Failure) -> None:
        self.log.failure("the link failed", failure)
        refusal = refusals.Internal(incident="client")
        self.deliver(inputs.Halted(refusal.code, refusal.text))

    async def _live(self) -> None:
        """Connect again and again until somebody stops it."""
        while not self.stopped:
            try:
                lost = await self._attempt()
            except _FINAL as refusal:
                # Trying again changes nothing, and could cost a secret.
                self.deliver(inputs.Halted(refusal.code, refusal.text))
                self._end_connection(None)
                return
            except Refusal as refusal:
                lost = refusal
            except (Stop, CancelledError):
                self._end_connection(None)
                return
            finally:
                self.online = False
            self._end_connection(lost)
            if not self.stopped:
                await self._pause(lost)

    def _end_connection(self, reason: Refusal | None) -> None:
        if self._pings.running:
            self._pings.stop()
        connection, self.connection = self.connection, None
        if connection is not None and connection.connected:
            connection.abort(reason or refusals.ShuttingDown(retry_after=0.0))
        self.requests.lost()
        ended, self._on_end = self._on_end, None
        if ended is not None:
            ended.callback(None)

    _on_end: "Deferred[None] | None" = None

    async def _pause(self, reason: Refusal) -> None:
        """Wait before the next attempt: half a second at first, then longer, with jitter."""
        jitter = 0.75 + self.random(1)[0] / 512
        wait = self._wait * jitter
        self._wait = min(self._wait * RETRY_GROWTH, limits.RECONNECT_SECONDS_MAX)
        self.deliver(inputs.Disconnected(reason.code, reason.text, wait))
        pause: Deferred[None] = Deferred()
        self._retry = self.reactor.callLater(wait, pause.callback, None)
        self._pausing = pause
        await pause

    _pausing: "Deferred[None] | None" = None

    def reconnect(self) -> None:
        """Try now: drop the wait, or the connection."""
        self._wait = limits.RECONNECT_SECONDS_MIN / 2
        if self._retry is not None and self._retry.active() and self._pausing is not None:
            self._retry.cancel()
            self._pausing.callback(None)
        elif self.connection is not None:
            self.connection.abort(faults.NetLost(address=self._address))
        elif not self.stopped:
            self.start()

    @property
    def _address(self) -> str:
        return f"{self.target.host}:{self.target.port}"

    # -- one connection

    async def _attempt(self) -> Refusal:
        """Connect, log in, stay; return why it ended."""
        target = self.target
        self.deliver(inputs.Connecting(target.host, target.port))
        self._lost = Deferred()
        self._session_ended = False
        connection = Connection(self.reactor, catalog.EVENTS, self._event, self._lost_now)
        connection.where = self._address
        spki = await self.dialer.dial(target.host, target.port, connection)
        self.connection = connection
        self.deliver(inputs.Connected())
        hello = await connection.greet()
        server = self.dialer.prove(target.host, hello, spki)
        self._clock_offset = hello.now - self.now()
        await self._trust(server, hello)
        await self._log_in(hello)
        self._wait = limits.RECONNECT_SECONDS_MIN / 2
        self.online = True
        self._pings.start(PING_SECONDS, now=True)
        await self.rooms.sync()
        self._restore()
        self._send_next()
        lost = await self._lost
        if self._session_ended and self.profile is not None:
            self.profile.drop_session()
            self.rooms.forget()
            self.deliver(inputs.LoggedOut(lost.text))
        return lost

    async def _trust(self, server: ServerId, hello: ServerHello) -> None:
        """Accept the server's identity: known, carried by the link, or confirmed by the user."""
        target, words = self.target, " ".join(server.words())
        pin = self.known.pin(target.host, target.port)
        expected = pin.digest if pin is not None else target.id_prefix
        if pin is not None and target.id_prefix and not pin.matches(target.id_prefix):
            # The link names another server than the one remembered here: the same hard stop.
            expected = pin.digest if not server.matches(target.id_prefix) else target.id_prefix
        if expected and not server.matches(expected):
            old = pin or ServerId(expected.ljust(32, b"\x00"))
            self.deliver(
                inputs.IdentityChanged(
                    " ".join(old.words()), words, old.fingerprint, server.fingerprint
                )
            )
            raise Stop
        if not expected and not self.dialer.vouched:
            self.deliver(inputs.TrustQuestion(target.host, target.port, words, server.fingerprint))
            answer = await self._ask_user()
            if not (isinstance(answer, effects.TrustAnswer) and answer.trusted):
                raise Stop
        if pin != server:
            self.known.remember(target.host, target.port, server)
        self.server = server
        self.deliver(inputs.HelloReceived(words, server.fingerprint, True, f"lair/{hello.version}"))

    # -- logging in

    async def _log_in(self, hello: ServerHello) -> None:
        assert self.server is not None
        target = self.target
        account = target.account or self.known.account(target.host, target.port) or ""
        if account and not target.code and self.profile is None:
            self._take_profile(account)
        if self.profile is not None:
            session = self.profile.session()
            if session is not None and await self._resume(session):
                return
        await self._ask_account(hello, account)

    def _take_profile(self, account: str) -> Profile:
        """Take the account's profile for this process; raises ProfileLocked."""
        assert self.server is not None
        if self.profile is None or self.profile.account.lower() != account.lower():
            profile = self.make_profile(self.server, account)
            profile.lock()
            if self.profile is not None:
                self.profile.unlock()
            self.profile = profile
            self.queue.restore(profile.outbox())
            if self.on_profile is not None:
                self.on_profile(profile)
        return self.profile

    async def _resume(self, session: Session) -> bool:
        """Log in with the token that this device keeps; False when the server does not know it."""
        try:
            grant = await self.ask(accounts.RESUME, accounts.Resume(session.token))
        except (refusals.AuthToken, refusals.AuthReused) as refusal:
            assert self.profile is not None
            self.profile.drop_session()
            self.deliver(inputs.Notice(refusal.text, refusal.code))
            return False
        self._logged_in(grant)
        return True

    async def _ask_account(self, hello: ServerHello, account: str) -> None:
        """Ask who to log in as until the server agrees."""
        code = self.target.code
        self.deliver(
            inputs.AccountNeeded(
                self.target.host,
                "register" if code or (hello.registration == "open" and not account) else "login",
                account or self.user_name,
                code,
                hello.registration,
            )
        )
        while True:
            answer = await self._ask_user()
            try:
                match answer:
                    case effects.Login(name, password):
                        grant = await self._login(name, password)
                    case effects.Register(name, password, invite):
                        grant = await self._register(name, password, invite)
                    case _:
                        continue
            except faults.NetLost:
                raise
            except Refusal as refusal:
                field = (refusal.field or "").removeprefix("$.").replace("secret", "password")
                self.deliver(inputs.AccountRefused(refusal.code, refusal.text, field))
                continue
            self._logged_in(grant)
            return

    async def _keys(self, name: str, password: Secret) -> Keys:
        assert self.server is not None
        try:
            return await self.dialer.derive(password.reveal(), self.server, name)
        finally:
            password.clear()

    async def _login(self, name: str, password: Secret) -> accounts.Grant:
        keys = await self._keys(name, password)
        request = accounts.Login(name, keys.authentication, label=self._label())
        grant: accounts.Grant = await self.ask(accounts.LOGIN, request)
        return grant

    async def _register(self, name: str, password: Secret, invite: str) -> accounts.Grant:
        keys = await self._keys(name, password)
        request = accounts.Register(
            name, keys.authentication, device=self._label(), invite=invite or None
        )
        grant: accounts.Grant = await self.ask(accounts.REGISTER, request)
        return grant

    def _label(self) -> str:
        import platform

        return (platform.node() or "terminal")[: limits.LABEL_CHARS]

    def _logged_in(self, grant: accounts.Grant) -> None:
        assert self.connection is not None
        self.connection.authenticated()
        profile = self._take_profile(grant.name)
        # Kept before it is used: the one we have may be good for one more time only.
        profile.keep_session(Session(grant.name, grant.user, grant.device, grant.token))
        target = self.target
        target.account, target.code = grant.name, ""
        self.known.used(target.host, target.port, grant.name)
        self.rooms.name = grant.name
        settings = profile.settings()
        if settings:
            self.deliver(inputs.SettingsLoaded(tuple(settings.items())))
        self.deliver(inputs.LoggedIn(grant.name, grant.user, grant.role))

    async def _ask_user(self) -> effects.Effect:
        """Wait for the user's answer, or for the connection's end."""
        self._answer = Deferred()
        try:
            return await self._answer
        finally:
            self._answer = None

    def answered(self, effect: effects.Effect) -> None:
        """Take the user's answer to a question of ours."""
        if self._answer is not None and not self._answer.called:
            self._answer.callback(effect)

    # -- asking

    def ask(
        self, command: Command[Any, Any], request: msgspec.Struct, key: bytes | None = None
    ) -> "Deferred[Any]":
        """Ask the server; a Refusal says why not, LC-NET-LOST when there is no connection."""
        if self.connection is None:
            failed: Deferred[Any] = Deferred()
            failed.errback(faults.NetLost(address=self._address))
            return failed
        return self.connection.call(command, request, key)

    def perform(self, effect: effects.Effect) -> None:
        """Carry out what the core wants done."""
        match effect:
            case effects.TrustAnswer() | effects.Login() | effects.Register():
                self.answered(effect)
            case effects.Send(ticket, room, text, action):
                self.queue.add(ticket, room, text, action=action)
                self._send_next()
            case effects.Resend(ticket):
                self.queue.retry(ticket)
                self._send_next()
            case effects.Discard(ticket):
                self.queue.remove(ticket)
            case effects.Reconnect():
                self.reconnect()
            case effects.SaveSetting(name, value):
                if self.profile is not None:
                    self.profile.keep_setting(name, value)
            case _:
                self.requests.perform(effect)

    # -- sending

    def submit(
        self,
        ticket: int,
        room: int,
        text: str,
        told: Callable[[int, "wire.Sent | Refusal"], None],
        *,
        action: bool = False,
    ) -> None:
        """Queue a message of another program; ``told(ticket, result)`` says what became of it."""
        self._results[ticket] = told
        self.queue.add(ticket, room, text, action=action)
        self._send_next()

    def _server_now(self) -> int:
        """Return the server's idea of now: command ids are judged by its clock, not by ours."""
        return self.now() + self._clock_offset

    def _keep_queue(self, items: list[dict[str, Any]]) -> None:
        if self.profile is not None:
            self.profile.keep_outbox(items)

    def _restore(self) -> None:
        """Show what was queued when the program ended last; it is sent like the rest."""
        waiting = [item for item in self.queue if item.ticket < 0]
        if waiting and not self._restored:
            self._restored = True
            self.deliver(
                inputs.OutboxRestored(
                    tuple(
                        inputs.OutboxItem(
                            item.ticket, item.room, item.text, item.at, item.action, item.failed
                        )
                        for item in waiting
                    )
                )
            )

    _restored = False

    def _send_next(self) -> None:
        """Send the first of the queue; one at a time, so that their order is kept whatever happens."""
        if self._sending or not self.online:
            return
        pending = self.queue.next()
        if pending is not None:
            self._sending = True
            Deferred.fromCoroutine(self._send(pending)).addErrback(self._broken)

    async def _send(self, pending: Pending) -> None:
        self._sent[pending.key] = pending.ticket
        body = catalog.encode_text(pending.text, action=pending.action)
        try:
            sent = await self.ask(wire.SEND, wire.Send(pending.room, body), pending.key)
        except Refusal as refusal:
            self._sending = False
            self._not_sent(pending, refusal)
            return
        self._sending = False
        self.queue.remove(pending.ticket)
        told = self._results.pop(pending.ticket, None)
        if told is not None:
            # Another program's message: for this screen it arrives like anybody's.
            self.rooms.event(self._own_event(pending, sent, body))
            told(pending.ticket, sent)
        else:
            self.deliver(inputs.SendAcknowledged(pending.ticket, sent.seq, sent.at))
            self.rooms.acknowledged(pending.room, sent.seq)
            self._watch(self._own_event(pending, sent, body))
        self._send_next()

    def _own_event(self, pending: Pending, sent: wire.Sent, body: bytes) -> wire.LogEvent:
        return wire.LogEvent(
            room=pending.room,
            seq=sent.seq,
            at=sent.at,
            user=0,
            name=self.rooms.name,
            device=0,
            kind="app",
            id=pending.key,
            body=body,
        )

    def _not_sent(self, pending: Pending, refusal: Refusal) -> None:
        if self.connection is None or not self.connection.connected:
            return  # it stays queued and goes out, with the same id, on the next connection
        if refusal.retry_after is not None:
            self.deliver(
                inputs.SendRefused(pending.ticket, refusal.code, refusal.text, refusal.retry_after)
            )
            self.reactor.callLater(refusal.retry_after, self._send_next)
            return
        told = self._results.pop(pending.ticket, None)
        if told is not None:
            self.queue.remove(pending.ticket)
            told(pending.ticket, refusal)
        else:
            self.queue.refuse(pending.ticket, refusal.code)
            self.deliver(inputs.SendRefused(pending.ticket, refusal.code, refusal.text))
        self._send_next()

    def _ticket_of(self, key: bytes) -> int:
        return self._sent.get(key, 0)

    # -- what arrives

    def _watch(self, event: wire.LogEvent) -> None:
        for watcher in list(self.watchers):
            watcher(event)

    def _lost_now(self, reason: Refusal) -> None:
        self.online = False
        if self._answer is not None and not self._answer.called:
            self._answer.errback(reason)
        if self._lost is not None and not self._lost.called:
            self._lost.callback(reason)

    def _ping(self) -> None:
        connection = self.connection
        if connection is None:
            return
        if connection.silent_for > SILENCE_SECONDS:
            connection.abort(faults.NetLost(address=self._address))
            return
        if connection.latency is not None:
            self.deliver(inputs.Latency(round(connection.latency * 1000)))
        connection.ping()

    def _event(self, name: str, body: Any) -> None:
        if name == "message":
            self.rooms.event(body)
        elif name == "gap":
            self.rooms.gap(body.rooms)
        elif name == "session.ended":
            self._session_ended = True
        else:
            self.requests.event(name, body)
