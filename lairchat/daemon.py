"""The running server: opens what the daemon uses, starts it in order, stops it in order.

Part of the composition root (see tap.py): this module and tap.py see everything, nothing sees them.
"""

import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from lairchat import __version__
from lairchat.core.admission import Admission
from lairchat.core.feature import Feature
from lairchat.core.hub import Hub
from lairchat.core.kernel import Kernel
from lairchat.core.measures import Measures, Stopwatch, Timed
from lairchat.core.throttle import Throttle
from lairchat.doors import Doors
from lairchat.e2ee.telling import told
from lairchat.features.accounts import server as accounts
from lairchat.features.accounts.hashing import Hashing, ThreadedHashing
from lairchat.features.accounts.rules import Registration
from lairchat.features.admin import server as admin
from lairchat.features.backups import server as backups
from lairchat.features.bans import server as bans
from lairchat.features.delivery import server as delivery
from lairchat.features.identities import server as identities
from lairchat.features.inbox import server as inbox
from lairchat.features.invitations import server as invitations
from lairchat.features.joining import server as joining
from lairchat.features.keepsakes import server as keepsakes
from lairchat.features.key_packages import server as key_packages
from lairchat.features.keys import server as keys
from lairchat.features.messages import server as messages
from lairchat.features.moderation import server as moderation
from lairchat.features.muting import server as muting
from lairchat.features.presence import server as presence
from lairchat.features.reading import server as reading
from lairchat.features.reports import server as reports
from lairchat.features.room_admin import server as room_admin
from lairchat.features.rooms import server as rooms
from lairchat.features.transfer import server as transfer
from lairchat.features.user_admin import server as user_admin
from lairchat.host import Cellar, Host, admission_of, rates_of, wall_clock
from lairchat.layout import Layout
from lairchat.logs import Logbook
from lairchat.model import limits
from lairchat.model.identity import Link
from lairchat.model.refusal import Refusal
from lairchat.model.refusals import ShuttingDown
from lairchat.monitoring import Monitoring
from lairchat.notify import ALIVE, READY, STOPPING, Notifier
from lairchat.prepare import at_once, load_certificate, take_lock
from lairchat.storage.answers import Answers
from lairchat.storage.database import Database
from lairchat.storage.unavailable import StorageUnavailable
from lairchat.transports.framed import FramedFactory, Greeting
from lairchat.transports.identity import ServerIdentity
from lairchat.transports.listen import ChatListener
from lairchat.transports.tls import ServerTLS

UPKEEP_SECONDS = 3_600
GIVE_UP_SECONDS = 0.05
"""seconds: how often work that takes long is told that the server stops."""
CERTIFICATE_CHECK_SECONDS = 12 * 3_600


NEW_OBJECTS = 10_000
"""count: objects made and not yet freed before Python looks for cycles among them; 700 by default,
which a few messages reach, and messages make no cycles."""


def spare_the_collector() -> None:
    """Let Python look for garbage less often, and not among what lives as long as the process.

    Modules, tables and command table are a hundred thousand objects that are never garbage.
    Together this is 6 % of what a message costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)


class Daemon(MultiService):
    """The server as a Twisted service.

    layout: where its files are.  terminal: tells the person who started it that it is ready.
    logbook: what is logged, and the last lines of it.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, layout: Layout, terminal: "Terminal", logbook: Logbook | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.logbook = logbook or Logbook(None, "info")
        self.reactor = reactor
        self.layout = layout
        self.terminal = terminal
        self.listeners: list[ChatListener] = []
        self.notifier = Notifier()
        self._lock = -1
        self._loops: list[LoopingCall] = []
        self._trusted = True
        self.exit_status = 0

    # -- starting

    def privilegedStartService(self) -> None:
        """Take the lock, open the database, listen; what fails here ends the process with 1."""
        os.umask(0o077)
        layout = self.layout
        self._lock = take_lock(layout.lock)
        self.database = Database.open(
            f"sqlite:///{layout.database}",
            reactor=self.reactor,
            readers=layout.config.storage.readers,
        )
        self.database.writer.on_fatal = self._fatal
        self._compose()
        at_once(layout.database, self.kernel.open)
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def _compose(self) -> None:
        config = self.layout.config
        self.identity = ServerIdentity.load(self.layout.identity)
        self.tls = ServerTLS(load_certificate(self.layout, wall_clock()))
        self.host = Host(self)
        self.cellar = Cellar(self)
        self.throttle = Throttle(self.reactor.seconds)
        measures = Measures(rates_of(config))
        self.hub = Hub(
            lambda flush: self.reactor.callLater(0, flush),
            messages.gap_frame,
            Stopwatch(self.reactor.seconds, measures.fanout),
        )
        features = make_features(
            self.layout,
            clock=self.reactor,
            hashing=ThreadedHashing(self.reactor, secrets.token_bytes),
            host=self.host,
            place=self.cellar,
        )
        self.kernel = Kernel(
            features,
            storage=Timed(self.database, self.reactor.seconds, measures.queries["read"]),
            answers=Answers(),
            hub=self.hub,
            throttle=self.throttle,
            now=wall_clock,
            random=secrets.token_bytes,
            rates=rates_of(config),
            measures=measures,
        )
        self.admission = Admission(self.throttle, **admission_of(config))
        self.factory = FramedFactory(self.kernel, self.greeting(), self.admission, self.reactor)
        for feature in features:
            for service in feature.services:
                service.setServiceParent(self)
        for name, listen in config.listen.items():
            listener = ChatListener(
                self.reactor,
                listen.endpoint,
                self.factory,
                tls=self.tls if listen.tls else None,
                on_failure=self._listener_failed,
            )
            listener.setName(name)
            listener.setServiceParent(self)
            self.listeners.append(listener)

        self.monitoring = Monitoring(self, measures)
        self.doors = Doors(
            self.reactor,
            self.layout,
            self.kernel,
            admission=self.admission,
            tls=self.tls,
            pages=self.monitoring.pages(),
            on_failure=self._listener_failed,
        )
        for service in self.doors.services:
            service.setServiceParent(self)

    def greeting(self) -> Greeting:
        """Return what the server says of itself by the configuration in force."""
        config = self.layout.config
        return Greeting(
            server=f"lairchat {__version__}",
            name=config.server.name,
            registration=config.accounts.registration,
            prove=lambda spki: self.identity.statement(spki, wall_clock()),
            limits_in_force={
                "frame_bytes": limits.FRAME_BYTES,
                "message_chars": limits.MESSAGE_CHARS,
                "message_bytes": limits.MESSAGE_BYTES,
                "message_burst": config.limits.message_burst,
                "rooms_joined": limits.ROOMS_JOINED,
                "in_flight": limits.COMMANDS_IN_FLIGHT,
                "blob_bytes": limits.BLOB_BYTES,
                "blob_chunk_bytes": limits.BLOB_CHUNK_BYTES,
            },
        )

    def startService(self) -> None:
        """Start what runs beside the listeners and tell the terminal that all is ready."""
        super().startService()  # type: ignore[no-untyped-call]
        periods = [
            (1.0, self.factory.sweep),
            (1.0, self.host.sample),
            (1.0, self.monitoring.look),
            (60.0, self.throttle.sweep),
            (UPKEEP_SECONDS, self._upkeep),
            (CERTIFICATE_CHECK_SECONDS, self._renew_if_due),
        ]
        if self.notifier.interval is not None:
            periods.append((self.notifier.interval, lambda: self.notifier.tell(ALIVE)))
        for seconds, work in periods:
            loop = LoopingCall(self._guarded, work)
            loop.clock = self.reactor
            loop.start(seconds, now=False)
            self._loops.append(loop)
        signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self.reload))
        spare_the_collector()
        self.terminal.ready(self.listening(), self.reactor.seconds())
        self.notifier.tell(READY)
        for listener in self.listeners:
            if listener.tls is None or not self.layout.config.limits.reviewed:
                listener.warn_if_public()

    def listening(self) -> str:
        """Say where everything listens."""
        chats = [
            f"{listener.name} {listener.address}{' tls' if listener.tls else ''}"
            for listener in self.listeners
        ]
        return " | ".join([*chats, *self.doors.places()])

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run periodic work; one failure is logged and does not end the period."""
        try:
            work()
        except Exception:  # noqa: BLE001
            self.log.failure("periodic work failed")

    def _upkeep(self) -> None:
        """Let the features clean up, in as many transactions as that takes, others' in between."""
        swept = self.kernel.upkeep()
        swept.addCallback(self._upkeep_again)
        swept.addErrback(lambda failure: self.log.failure("upkeep failed", failure))

    def _upkeep_again(self, more: bool) -> None:
        if more and not self.kernel.closing:
            self._upkeep()

    # -- while it runs

    def reload(self) -> None:
        """Take over what is on disk (SIGHUP), all or nothing; connections live on."""
        try:
            self.host.reload(rehearsal=False)
        except Refusal as refusal:
            self.log.error(
                "reload refused, everything stays as it was: {code} {reason}",
                code=refusal.code,
                reason=refusal.text,
            )

    def _renew_if_due(self) -> None:
        """Renew the server's own certificate before it runs out; connections live on."""
        try:
            self.host.renew_if_due()
        except Refusal as refusal:
            self.log.error("not renewed: {code} {reason}", code=refusal.code, reason=refusal.text)

    def _listener_failed(self, refusal: Refusal) -> None:
        self.log.critical("{code} {text}", **_told(refusal))
        self._stop_with(1)

    def _fatal(self, fault: StorageUnavailable) -> None:
        """End the process: after a failed fsync nothing the database says can be trusted."""
        self.log.critical("the database failed; stopping: {code} {text}", **_told(fault))
        self._trusted = False
        self._stop_with(1)

    def _stop_with(self, status: int) -> None:
        self.exit_status = status
        if self.reactor.running:
            # twistd exits 0 after an orderly stop unless the reactor carries a status.
            self.reactor._exitSignal = None
            self.reactor.addSystemEventTrigger("after", "shutdown", os._exit, status)
            self.reactor.stop()

    # -- stopping

    def stopService(self) -> "Deferred[None]":
        """Finish what was accepted, tell the clients, close; bounded by STOP_SECONDS."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.notifier.tell(STOPPING)
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self.kernel.close()
        # Who waits for a copy or a check of a large database asks again; whoever waits for the
        # server to stop kills it after a while, with what it still has to do.
        giving_up = LoopingCall(self.database.halt.give_up)
        giving_up.clock = self.reactor
        giving_up.start(GIVE_UP_SECONDS)
        for listener in self.listeners:
            await listener.stopService()
        await self.cellar.finished()
        await self.database.writer.drain()
        self.hub.flush()
        refusal = ShuttingDown(retry_after=limits.RECONNECT_SECONDS_MIN)
        for protocol in self.factory.connections():
            protocol.close(refusal.code, refusal.text)
        deadline = self.reactor.seconds() + limits.STOP_SECONDS / 2
        while self.factory.connections() and self.reactor.seconds() < deadline:
            await deferLater(self.reactor, 0.02)
        for protocol in self.factory.connections():
            protocol.abort()
        # The listeners have stopped already; stopping a service twice is harmless to them.
        await super().stopService()  # type: ignore[no-untyped-call]
        if self._trusted:
            # Else it would be checkpointed, and the log overwritten that has what the disk lost.
            await self.database.close()
        giving_up.stop()
        os.close(self._lock)


def make_features(
    layout: Layout, *, clock: Any, hashing: Hashing, host: admin.Host, place: backups.Place
) -> list[Feature]:
    """Build what this server can do, for the daemon and for lairctl where none runs."""

    def registration() -> Registration:
        return Registration(layout.config.accounts.registration)

    @cache
    def identity() -> ServerIdentity:
        return ServerIdentity.load(layout.identity)

    return [
        accounts.make(hashing=hashing, registration=registration),
        rooms.make(),
        messages.make(),
        moderation.make(),
        muting.make(),
        admin.make(host),
        backups.make(place),
        presence.make(clock),
        transfer.make(),
        bans.make(),
        invitations.make(lambda code: invite_link(layout, code)),
        keys.make(),
        room_admin.make(),
        user_admin.make(),
        identities.make(lambda: identity().id),
        key_packages.make(),
        inbox.make(),
        delivery.make(identity),
        joining.make(identity),
        keepsakes.make(),
        reading.make(),
        reports.make(told),
    ]


def invite_link(layout: Layout, code: str) -> str:
    """Return the whole link of an invite code: where this server is, and who it is."""
    host, port = layout.address()
    return Link(host, port, code, ServerIdentity.load(layout.identity).id.prefix128).format()


def _told(refusal: Refusal) -> dict[str, str]:
    return {"code": refusal.code, "text": refusal.text}


def process_start() -> float:
    """Return when this process began, on the monotonic clock; what people wait from."""
    fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    return time.monotonic() - age


class Terminal:
    """Tells the person who typed the command that the server listens, on the terminal or in the log.

    twistd turns standard output into log lines before services start, and a daemon has no terminal
    any more; the person at one is to read lines, not log entries.
    first: a first start tells more.  began: when the process began, on the monotonic clock.
    """

    log = Logger("lairchat")

    def __init__(self, *, nodaemon: bool, first: bool, began: float) -> None:
        self._stream = sys.__stdout__ if nodaemon else None
        self._first = first
        self._began = began

    def ready(self, listening: str, now: float) -> None:
        """Say where it listens and how long that took."""
        took = f"{now - self._began:.1f} s"
        if self._first:
            self._say(f"  listening {listening}")
            self._say(f"Ready in {took}.")
        else:
            self._say(f"  listening {listening}  ready in {took}")

    def _say(self, line: str) -> None:
        if self._stream is None:
            self.log.info("{line}", line=line.strip())
            return
        self._stream.write(f"{line}\n")
        self._stream.flush()
