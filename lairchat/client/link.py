"""The client's side of the network: connects, stays connected, reports, and carries out effects.

Reports everything as inputs to the pure core and carries out the core's effects.
Promises not to know: the screen.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.client import catalog, effects, inputs
from lairchat.client.authentication import Authentication
from lairchat.client.connection import Connection
from lairchat.client.outgoing import Outgoing, Told
from lairchat.client.people import People
from lairchat.client.pinning import recognised
from lairchat.client.profile import KnownServers, Profile
from lairchat.client.pulse import Pulse, slept
from lairchat.client.requests import Requests
from lairchat.client.rooms import Rooms
from lairchat.client.sealed.keyring import Keyring
from lairchat.client.sealed.sending import Sending
from lairchat.client.sealed.service import Sealed
from lairchat.client.sealed.showing import Lines
from lairchat.features.messages import messages as wire
from lairchat.model import faults, limits, refusals
from lairchat.model.identity import ServerId, format_address
from lairchat.model.refusal import Refusal
from lairchat.trust.password import Keys
from lairchat.wire.contract import Command
from lairchat.wire.objects import ServerHello

#: How long an orderly goodbye may take.
LEAVE_SECONDS = 1.0
RETRY_GROWTH = 2.0
#: ms: what a server may say that its clock says; command ids have room for twice as much.
_TIME_MAX = 2**47

#: What ends the attempts until somebody acts: trying again changes nothing, or costs a secret.
_FINAL = (
    faults.TlsIdentity,
    faults.TlsHost,
    faults.TlsCa,
    faults.TlsExpired,
    faults.TlsVersion,
    faults.ProfileLocked,
    faults.ProfileBroken,
    refusals.AuthLocked,
    refusals.AuthBanned,
)
# Clients of one account that all came back at once would push each other out for ever.
_FINAL_CODES = frozenset({"LC-VERSION", "LC-CONNECTIONS-OWN"})


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


class AtOnce(Exception):  # noqa: N818 - no error: it is the user's wish
    """Begins the next attempt without a wait or a word: the user has just acted."""


class Link:
    """Keeps one account on one server connected.

    reactor: IReactorTime; now: wall clock in ms; random: n -> n random bytes (0 <= jitter).
    deliver: takes every input for the core, in order.
    user_name: what to suggest as the account's name.
    asleep: seconds that grow by each sleep of the computer.
    watchers: called with room and line of all that is new here; on_sync: after each catching up.
    keyring: keeps the key of a store between two starts; the kernel's if none is given.
    on_profile: called with the profile that this process has just taken; returns what ends the
        use that was made of it, and says when that is done.
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
        asleep: Callable[[], float] = slept,
        keyring: Keyring | None = None,
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
        self.watchers: list[Callable[[int, inputs.Message], None]] = []
        self.on_sync: list[Callable[[], None]] = []
        self.on_profile: Callable[[Profile], Callable[[], Deferred[Any]]] | None = None
        self.reason: Refusal | None = None
        self.outgoing = Outgoing(self)
        self._keyring = keyring
        self.sealed = Sealed(self, keyring)
        self.rooms = Rooms(
            self.ask,
            deliver,
            self.outgoing.ticket_of,
            self.watch,
            later=reactor.callLater,
            members_changed=self._members_changed,
            sealed=self.sealed,
        )
        self.people = People(reactor, self.rooms, self._list_members)
        self.requests = Requests(self)
        self.authentication = Authentication(self)
        self._server_clock: tuple[int, float] | None = None
        self._wait: float = limits.RECONNECT_SECONDS_MIN
        self._living: Deferred[None] | None = None
        self._pausing: Deferred[None] | None = None
        self._answer: Deferred[effects.Effect] | None = None
        self._lost: Deferred[Refusal] | None = None
        self._gone: list[Deferred[None]] = []
        self._pulse = Pulse(
            reactor,
            asleep,
            connection=lambda: self.connection,
            dead=self._dead,
            awake=self._hurry,
        )
        self._ended: str | None = None
        self._close_profile: Callable[[], Deferred[Any]] | None = None
        self._unsaved: dict[str, str] = {}

    # -- life

    def start(self) -> None:
        """Begin to connect; does nothing while it is at it already."""
        if self._living is None and not self.stopped:
            living = self._living = Deferred.fromCoroutine(self._live())
            living.addErrback(self._broken)
            living.addBoth(self._rested)

    def stop(self) -> "Deferred[None]":
        """Leave in order; fires when the connection is closed. A second call only waits."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.stopped = True
        self.outgoing.rest()
        self.people.rest()
        connection = self.connection
        if connection is not None and connection.connected:
            self.sealed.places.end()
            gone: Deferred[None] = Deferred()
            self._gone.append(gone)
            connection.leave()
            too_long = self.reactor.callLater(
                LEAVE_SECONDS, connection.abort, faults.NetLost(address=self._address)
            )
            await gone
            if too_long.active():
                too_long.cancel()
        # In a turn of its own: we may have been called from within what is cancelled here.
        await deferLater(self.reactor, 0)
        if self._living is not None:
            self._living.cancel()
        await self._release_profile()

    def _rested(self, _: Any) -> None:
        self._living = None

    def _broken(self, failure: Failure) -> None:
        self.log.failure("the link failed", failure)
        refusal = faults.ClientBroken()
        self.deliver(inputs.Halted(refusal.code, refusal.text))

    async def _live(self) -> None:
        """Connect again and again until somebody stops it."""
        self._pulse.start()
        try:
            while not self.stopped:
                reason = await self._try()
                if reason is not None and not self.stopped:
                    self.reason = reason
                    await self._pause(reason)
        except (Stop, CancelledError):
            pass
        finally:
            self._pulse.stop()
            self._end_connection()

    async def _try(self) -> Refusal | None:
        """Make one attempt; return why to wait before the next, or None to go on at once."""
        try:
            reason = await self._attempt()
        except AtOnce:
            return None
        except Refusal as refusal:
            reason = refusal
        finally:
            self.online = False
            self._end_connection()
        if self._ended is not None:
            self._log_out(self._ended)
            return None
        if isinstance(reason, _FINAL) or reason.code in _FINAL_CODES:
            self.reason = reason
            self.deliver(inputs.Halted(reason.code, reason.text))
            raise Stop
        return reason

    def _end_connection(self) -> None:
        connection, self.connection = self.connection, None
        self._lost = None  # nobody waits for it any more
        if connection is not None:
            connection.abort(faults.NetLost(address=self._address))
        self.requests.lost()
        self.sealed.lost()

    async def _pause(self, reason: Refusal) -> None:
        """Wait before the next attempt: up to a second at first, then longer, with jitter."""
        jitter = 0.5 + self.random(1)[0] / 510
        wait = max(self._wait * jitter, min(reason.retry_after or 0, limits.MINUTE))
        self._wait = min(self._wait * RETRY_GROWTH, limits.RECONNECT_SECONDS_MAX)
        if isinstance(reason, faults.NetLost):
            reason = faults.NetLost(address=self._address, retry_after=wait)
        self.deliver(inputs.Disconnected(reason.code, reason.text, wait))
        pause = self._pausing = Deferred()
        timer = self.reactor.callLater(wait, self._go_on)
        try:
            await pause
        finally:
            self._pausing = None
            if timer.active():
                timer.cancel()

    def _go_on(self) -> None:
        pausing, self._pausing = self._pausing, None
        if pausing is not None:
            pausing.callback(None)

    def _hurry(self) -> None:
        """Drop the wait for the next attempt, if there is one."""
        self._wait = limits.RECONNECT_SECONDS_MIN
        self._go_on()

    def _dead(self) -> None:
        """Give the connection up."""
        if self.connection is not None:
            self.connection.abort(faults.NetLost(address=self._address))

    def reconnect(self) -> None:
        """Try now: drop the wait, or the connection."""
        self._wait = limits.RECONNECT_SECONDS_MIN
        if self._pausing is not None:
            self._go_on()
        elif self.connection is not None:
            self._dead()
        else:
            self.start()

    @property
    def _address(self) -> str:
        return format_address(self.target.host, self.target.port)

    # -- one connection

    async def _attempt(self) -> Refusal:
        """Connect, log in, stay; return why it ended."""
        target = self.target
        self._ended = None
        self.deliver(inputs.Connecting(target.host, target.port))
        lost: Deferred[Refusal] = Deferred()
        self._lost = lost
        connection = Connection(
            self.reactor, catalog.EVENTS, self._event, partial(self._lost_now, lost)
        )
        connection.where = self._address
        connection.on_latency = self._latency
        spki = await self.dialer.dial(target.host, target.port, connection)
        self.connection = connection
        self.deliver(inputs.Connected())
        hello = await connection.greet()
        server = self.dialer.prove(target.host, hello, spki)
        self._server_clock = min(hello.now, _TIME_MAX), self.reactor.seconds()
        if not await recognised(self, server):
            raise Stop
        self.server = server
        words = " ".join(server.words())
        self.deliver(inputs.HelloReceived(words, server.fingerprint, True, f"lair/{hello.version}"))
        await self.authentication.log_in(hello)
        await self.sealed.begin()
        self._wait = limits.RECONNECT_SECONDS_MIN
        self.reason = None
        self.online = True
        connection.ping()
        await self.rooms.sync()
        self.sealed.online()
        self.outgoing.online()
        self.requests.online()
        self.people.online()
        for told in list(self.on_sync):
            told()
        return await lost

    def must_be_connected(self) -> None:
        """Raise AtOnce when the connection was lost while the user was thinking."""
        if self.connection is None or not self.connection.connected:
            raise AtOnce

    async def ask_user(self) -> effects.Effect:
        """Wait for the user's answer, however long; the connection may be lost meanwhile."""
        answer = self._answer = Deferred()
        try:
            return await answer
        finally:
            self._answer = None

    def _answered(self, effect: effects.Effect) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.callback(effect)
        else:
            # Nobody asks at this moment, because the connection is being made anew.
            self.authentication.keep(effect)

    # -- the profile

    def take_profile(self, account: str) -> Profile:
        """Take the account's profile for this process; raises ProfileLocked, ProfileBroken."""
        assert self.server is not None
        if self.profile is None or self.profile.account.lower() != account.lower():
            profile = self.make_profile(self.server, account)
            profile.lock()
            try:
                kept = profile.outbox()
                profile.encrypted()
            except Refusal:
                profile.unlock()
                raise
            self._release_profile()
            self.use_profile(profile, kept)
        assert self.profile is not None
        return self.profile

    def use_profile(self, profile: Profile, outbox: list[dict[str, Any]]) -> None:
        """Use a profile whose lock this process has; nothing of another account's is kept."""
        self.rooms.forget()
        self.requests.forget()
        self.people.forget()
        self.profile = profile
        self.sealed.take(profile)
        self.outgoing.restore(outbox)
        for name, value in self._unsaved.items():
            self._keep_setting(profile, name, value)
        self._unsaved.clear()
        if self.on_profile is not None:
            self._close_profile = self.on_profile(profile)

    def _release_profile(self) -> "Deferred[None]":
        """Give the profile to others, once nothing of ours is in its place any more."""
        close, self._close_profile = self._close_profile, None
        profile = self.profile
        self._lock_sealed()

        def unlock(_: Any) -> None:
            if profile is not None:
                profile.unlock()

        return (succeed(None) if close is None else close()).addBoth(unlock)

    def _lock_sealed(self) -> None:
        """Close the store, and begin anew: what still runs for one account never meets another's."""
        self.sealed.release()
        self.sealed = Sealed(self, self._keyring)
        self.rooms.use(self.sealed)

    def _keep_setting(self, profile: Profile, name: str, value: str) -> None:
        try:
            profile.keep_setting(name, value)
        except Refusal as refusal:
            self.deliver(inputs.Notice(refusal.text, refusal.code))

    def _log_out(self, text: str) -> None:
        try:
            if self.profile is not None:
                self.profile.drop_session()
        except Refusal as refusal:
            self.deliver(inputs.Notice(refusal.text, refusal.code))
        self._lock_sealed()
        if self.profile is not None:
            self.sealed.take(self.profile, shut=True)
        self.rooms.forget()
        self.requests.forget()
        self.people.forget()
        self.deliver(inputs.LoggedOut(text))

    def session_over(self, text: str) -> None:
        """Note that this session has ended: what follows is a login, not a resume."""
        self._ended = text

    # -- asking

    def ask(
        self, command: Command[Any, Any], request: msgspec.Struct, key: bytes | None = None
    ) -> "Deferred[Any]":
        """Ask the server; a Refusal says why not, LC-NET-LOST when there is no connection."""
        connection = self.connection
        if connection is None or connection.hello is None:
            return fail(faults.NetLost(address=self._address))
        return connection.call(command, request, key)

    def perform(self, effect: effects.Effect) -> None:
        """Carry out what the core wants done."""
        match effect:
            case effects.TrustAnswer() | effects.Login() | effects.Register():
                self._answered(effect)
            case effects.Send():
                self._send(effect)
            case effects.Resend(ticket):
                self._queue_of(ticket).retry(ticket)
            case effects.Discard(ticket):
                self._queue_of(ticket).discard(ticket)
            case effects.Reconnect():
                self.reconnect()
            case effects.SaveSetting(name, value):
                if self.profile is None:
                    self._unsaved[name] = value
                else:
                    self._keep_setting(self.profile, name, value)
            case _:
                self.requests.perform(effect)

    # -- messages

    def _send(self, effect: effects.Send) -> None:
        """Queue a message where its room's are: what is for an encrypted one is never kept in clear."""
        ticket, room, text, action = effect.ticket, effect.room, effect.text, effect.action
        try:
            if not self.sealed.owns(room):
                self._require_clear(room)
                self.outgoing.send(ticket, room, text, action=action)
                return
            self.sealed.sending.send(
                ticket, room, text, action=action, reply=effect.reply, thread=effect.thread
            )
        except Refusal as refusal:
            self.deliver(inputs.SendRefused(ticket, refusal.code, refusal.text))

    def _require_clear(self, room: int) -> None:
        why = self.sealed.why_not_clear(room)
        if why is not None:
            raise why

    def _queue_of(self, ticket: int) -> "Outgoing | Sending":
        return self.sealed.sending if self.sealed.sending.owns(ticket) else self.outgoing

    def submit(
        self, room: int, text: str, told: Told, *, action: bool = False, key: bytes | None = None
    ) -> None:
        """Queue a message of another program; raises a Refusal if it cannot be kept."""
        queue = self.sealed.sending if self.sealed.owns(room) else self.outgoing
        if queue is self.outgoing:
            self._require_clear(room)
        queue.submit(room, text, told, action=action, key=key)

    def keeps(self, room: int) -> bool:
        """Tell whether what is queued for a room goes out though this program ends."""
        return self.sealed.store is not None if self.sealed.owns(room) else self.outgoing.kept

    async def lines(
        self, room: int, *, before: int | None = None, after: int | None = None, limit: int
    ) -> Lines:
        """Return a page of a room's log as lines, ascending; the latest one by default."""
        if self.sealed.owns(room):
            return self.sealed.lines(room, before=before, after=after, limit=limit)
        page: wire.Page = await self.ask(
            wire.HISTORY, wire.History(room, before=before, after=after, limit=limit)
        )
        events = [event for event in page.events if event.room == room]
        ticket_of = self.outgoing.ticket_of
        lines = tuple(catalog.message_of(event, ticket_of(event.id)) for event in events)
        end = max((event.seq for event in events), default=0)
        if after is not None:
            return Lines(lines, older=True, newer=page.more, end=end)
        return Lines(lines, older=page.more, newer=False, end=end)

    def server_now(self) -> int:
        """Return the server's idea of now, ms: command ids are judged by its clock, not by ours.

        Counted on from its last hello, because our own clock may jump meanwhile.
        """
        if self._server_clock is None:
            return self.now()
        then, at = self._server_clock
        return then + int((self.reactor.seconds() - at) * 1000)

    # -- what arrives

    def watch(self, room: int, line: inputs.Message) -> None:
        """Show a line that is new here to other programs that follow."""
        for watcher in list(self.watchers):
            watcher(room, line)

    def _members_changed(self, room: int) -> None:
        self.people.changed(room)

    def _list_members(self, room: int) -> None:
        self.requests.refresh_members(room)

    def _lost_now(self, lost: "Deferred[Refusal]", reason: Refusal) -> None:
        self.online = False
        gone, self._gone = self._gone, []
        for one in gone:
            one.callback(None)
        if lost is self._lost:
            lost.callback(reason)

    def _latency(self, seconds: float) -> None:
        self.deliver(inputs.Latency(round(seconds * 1000)))

    def _event(self, name: str, body: Any) -> None:
        if name == "message":
            self.rooms.event(body)
        elif name == "gap":
            self.rooms.gap(body.rooms)
        elif name == "session.ended":
            self.session_over(body.text)
        elif not self.sealed.event(name, body):
            self.requests.event(name, body)
