"""What operators command beside the kernel: the process, its certificate, log and configuration.

Part of the composition root (see tap.py).  One half serves lairctl as well when no daemon runs.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat import __version__
from lairchat.config import Config
from lairchat.core.throttle import Rate
from lairchat.features.admin import messages
from lairchat.layout import Layout
from lairchat.model import limits
from lairchat.model.faults import StartCertificate
from lairchat.model.refusals import RestoreRunning, ShuttingDown
from lairchat.prepare import (
    load_certificate,
    make_certificate,
    read_certificate,
    rehearse_certificate,
)
from lairchat.settings import Settings
from lairchat.storage import backup, migrate
from lairchat.storage.halt import Halt, Halted
from lairchat.transports.certificate import (
    DAY_MS,
    CertificateFacts,
    CertifiedKey,
    require_current,
)
from lairchat.transports.identity import ServerIdentity
from lairchat.transports.tls import ServerTLS

if TYPE_CHECKING:
    from lairchat.daemon import Daemon

T = TypeVar("T")

ANSWER_SECONDS = 0.3
"""seconds: how long an answer has to leave before the process begins to stop."""
RATE_SECONDS = 10
"""seconds: what a rate "at this moment" is the mean of."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def wall_clock() -> int:
    """Return the time for people and certificates, ms since 1970; timers never use it."""
    return time.time_ns() // 1_000_000


class Files:
    """The half of the host that needs no running server: its files."""

    log = Logger()

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.settings = Settings(layout)

    def status(self, *, accounts: int, rooms: int) -> messages.Status:
        """Return how the server is as far as its files tell."""
        layout = self.layout
        identity = layout.identity.exists() and ServerIdentity.load(layout.identity).id.short
        certified = read_certificate(layout, layout.config)
        return messages.Status(
            state="offline",
            name=layout.config.server.name,
            version=__version__,
            identity=identity or "none yet",
            data=str(layout.data),
            listening="-",
            pid=0,
            up=0,
            connections=0,
            people=0,
            accounts=accounts,
            rooms=rooms,
            database=database_bytes(layout.database),
            schema=migrate.number(migrate.revisions()[-1]),
            certificate=0 if certified is None else max(certified.facts.not_after, 0),
            backup=backup.newest(layout.backups),
        )

    def certificate(self) -> messages.Certificate:
        """Return the certificate that the files hold."""
        certified = read_certificate(self.layout, self.layout.config)
        if certified is None:
            raise StartCertificate(path=self.layout.certificate, why="there is none yet")
        return _told(certified.facts, certified.where)

    def check(self) -> messages.Checked:
        """Check the configuration on disk."""
        return self.settings.check()

    def keys(self, request: messages.ShowConfig) -> list[messages.KeyInForce]:
        """Return the configuration that is in force."""
        return self.settings.keys(request)

    def explain(self, key: str) -> messages.Explained:
        """Say what a key means."""
        return self.settings.explain(key)

    def differences(self) -> list[messages.Difference]:
        """Compare what is in force with what is on disk."""
        return self.settings.differences()

    def fresh_certificate(self, *, rehearsal: bool) -> CertifiedKey:
        """Return the certificate to be used next, made anew where it is the server's own.

        rehearsal: nothing is written, and everything is checked.
        """
        now = wall_clock()
        if self.layout.config.tls.certificate:
            certified = load_certificate(self.layout, now)
            require_current(certified, now)
            return certified
        return (rehearse_certificate if rehearsal else make_certificate)(self.layout, now)

    def renew(self, *, rehearsal: bool) -> messages.Certificate:
        """Take a new certificate."""
        certified = self.fresh_certificate(rehearsal=rehearsal)
        ServerTLS(certified)  # raises what OpenSSL has against it
        return _told(certified.facts, certified.where)


class Host(Files):
    """What operators command of a running daemon."""

    def __init__(self, daemon: "Daemon") -> None:
        super().__init__(daemon.layout)
        self._daemon = daemon
        self._stopping: IDelayedCall | None = None
        self._samples: deque[_Sample] = deque(maxlen=RATE_SECONDS + 1)
        self._began = daemon.reactor.seconds()

    def need_daemon(self) -> None:
        """One runs."""

    # -- how it is

    def status(self, *, accounts: int, rooms: int) -> messages.Status:
        """Return how the running server is."""
        daemon = self._daemon
        hub = daemon.hub
        state = "running" if hub.maintenance is None else "maintenance"
        notice = "" if hub.maintenance is None else f"closed{hub.maintenance}"
        if self._stopping is not None and self._stopping.active():
            left = max(0, round(self._stopping.getTime() - daemon.reactor.seconds()))
            notice = f"stops in {left} s"
        return messages.Status(
            state="stopping" if daemon.kernel.closing else state,
            name=self.layout.config.server.name,
            version=__version__,
            identity=daemon.identity.id.short,
            data=str(self.layout.data),
            listening=daemon.listening(),
            pid=os.getpid(),
            up=self._up(),
            connections=hub.connections(),
            people=len(hub.people),
            accounts=accounts,
            rooms=rooms,
            database=database_bytes(self.layout.database),
            schema=migrate.number(migrate.revisions()[-1]),
            certificate=max(daemon.tls.credential.facts.not_after, 0),
            backup=backup.newest(self.layout.backups),
            notice=notice,
        )

    def _up(self) -> int:
        return round(float(self._daemon.reactor.seconds() - self._began))

    def stats(self) -> messages.Stats:
        """Return the figures since the start."""
        daemon = self._daemon
        hub, writer = daemon.hub, daemon.database.writer
        stats = writer.stats
        return messages.Stats(
            up=self._up(),
            connections=hub.connections(),
            strangers=len(daemon.factory.strangers),
            people=len(hub.people),
            rooms_heard=len(hub.channels),
            turned_away=daemon.kernel.measures.limited.counts["connection"],
            queue=writer.depth,
            units=stats.units,
            groups=stats.groups,
            largest_group=stats.largest,
            refused=stats.refused,
            failed=stats.failed,
            running_ms=round(stats.seconds_running * 1000),
            committing_ms=round(stats.seconds_committing * 1000),
            log_pages=daemon.database.checkpoints.log_pages,
            database=database_bytes(self.layout.database),
            memory=int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES,
            cpu=round(time.process_time()),
            files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - numbers, not paths
        )

    def sample(self) -> None:
        """Note where the counts stand; called once a second."""
        daemon = self._daemon
        stats, measures = daemon.database.writer.stats, daemon.kernel.measures
        counts = {
            "messages stored": measures.messages.total,
            "changes committed": stats.units,
            "commits": stats.groups,
            "rows written": stats.rows,
            "changes refused": stats.refused,
            "logins": measures.logins.counts["ok"],
            "logins refused": measures.logins.total - measures.logins.counts["ok"],
            "connections turned away": measures.limited.counts["connection"],
            "too often": measures.limited.total,
        }
        self._samples.append(_Sample(daemon.reactor.seconds(), counts))

    def rates(self) -> list[messages.Rate]:
        """Return how much happens a second, over the last ten."""
        if not self._samples:
            self.sample()
        first, last = self._samples[0], self._samples[-1]
        seconds = last.at - first.at
        return [
            messages.Rate(
                what=what,
                per_second=round((total - first.counts[what]) / seconds, 1) if seconds else 0.0,
                total=total,
            )
            for what, total in last.counts.items()
        ]

    # -- stopping

    def stop(self, after: int, reason: str) -> None:
        """Stop the process in order after so many seconds."""
        self.keep_running()
        self.log.info(
            "an operator stops the server in {seconds} s: {reason}", seconds=after, reason=reason
        )
        reactor = self._daemon.reactor
        self._stopping = reactor.callLater(max(after, ANSWER_SECONDS), reactor.stop)

    def keep_running(self) -> bool:
        """Take back a stop that has not come yet."""
        stopping, self._stopping = self._stopping, None
        if stopping is None or not stopping.active():
            return False
        stopping.cancel()
        return True

    # -- the certificate

    def certificate(self) -> messages.Certificate:
        """Return the certificate that new connections get."""
        named = self.layout.config.tls.certificate
        return _told(self._daemon.tls.credential.facts, named or str(self.layout.certificate))

    def renew(self, *, rehearsal: bool) -> messages.Certificate:
        """Take a new certificate for new connections."""
        certified = self.fresh_certificate(rehearsal=rehearsal)
        if rehearsal:
            self._daemon.tls.prepare(certified)
        else:
            self._use(certified)
        return _told(certified.facts, certified.where)

    def renew_if_due(self) -> None:
        """Renew the server's own certificate before it ends."""
        facts = self._daemon.tls.credential.facts
        if not self.layout.config.tls.certificate and facts.due_for_renewal(wall_clock()):
            self._use(make_certificate(self.layout, wall_clock()))

    def _use(self, certified: CertifiedKey) -> None:
        self._daemon.tls.replace(certified)
        self.log.info("certificate reloaded; new connections get it")

    # -- the log

    def log_lines(self, request: messages.TailLog) -> list[messages.LogLine]:
        """Return lines of the log that are remembered."""
        lines = self._daemon.logbook.lines(
            after=request.after, count=request.lines, level=request.level
        )
        return [messages.LogLine(line.number, line.at, line.level, line.text) for line in lines]

    def set_log_level(self, level: str) -> None:
        """Choose the least that is logged."""
        self._daemon.logbook.set_level(level)

    # -- the configuration

    def reload(self, *, rehearsal: bool) -> tuple[list[str], list[str]]:
        """Take over what is on disk, all of what needs no restart or nothing."""
        daemon = self._daemon
        fresh = self.settings.fresh()
        applied, waiting = self.settings.changes(fresh)
        certified = read_certificate(self.layout, fresh.config)
        if (
            certified is None and not rehearsal
        ):  # from now on the server's own, which was never made
            certified = make_certificate(self.layout, wall_clock())
        named, in_use = fresh.config.tls.certificate, daemon.tls.credential.facts
        if certified is not None and named and certified.facts != in_use:
            require_current(certified, wall_clock())  # what is in use already may stay
        credential = None if certified is None else daemon.tls.prepare(certified)
        if rehearsal or credential is None:
            return applied, waiting
        # Nothing below can fail: what is taken over has been checked as a whole.
        self.settings.apply(fresh)
        config = self.layout.config
        daemon.kernel.change_rates(rates_of(config))
        daemon.factory.admission.change(**admission_of(config))
        daemon.doors.change(config)
        daemon.factory.greeting = daemon.greeting()
        daemon.logbook.set_level(config.log.level)
        before = daemon.tls.credential.facts.spki_sha256
        daemon.tls.credential = credential
        if credential.facts.spki_sha256 != before:
            self.log.info("certificate reloaded; new connections get it")
        self.log.info("configuration reloaded; applied: {keys}", keys=", ".join(applied) or "-")
        if waiting:
            self.log.warn("restart to apply: {keys}", keys=", ".join(waiting))
        return applied, waiting


class Cellar:
    """Where the running daemon's database and backups are."""

    def __init__(self, daemon: "Daemon") -> None:
        layout = daemon.layout
        self.database = layout.database
        self.directory = layout.data
        self.backups = layout.backups
        self.beside = beside(layout)
        self._daemon = daemon
        self._one = DeferredLock()

    @property
    def halt(self) -> Halt:
        """What such work asks whether it is to go on."""
        return self._daemon.database.halt

    def aside(self, work: Callable[[], T]) -> "Deferred[T]":
        """Do work on the reactor's threads, one after the other: disks like that better."""
        reactor = self._daemon.reactor
        done: Deferred[T] = self._one.run(
            deferToThreadPool, reactor, reactor.getThreadPool(), self._unless_over, work
        )
        return done.addErrback(_halted)

    def finished(self) -> "Deferred[None]":
        """Fire when nothing is done aside any more."""
        done: Deferred[None] = self._one.run(lambda: None)
        return done

    def _unless_over(self, work: Callable[[], T]) -> T:
        self.halt.check()
        return work()

    def vacuum(self) -> "Deferred[None]":
        """Give the database's free space back."""
        return self._daemon.database.vacuum()

    def claim(self, name: str, *, rehearsal: bool) -> None:  # noqa: ARG002
        """Refuse: this very server uses the database."""
        raise RestoreRunning(name=name)


def _halted(failure: Failure) -> NoReturn:
    """Say to whoever waits for work that it was given up, and why."""
    if failure.check(Halted):
        raise ShuttingDown(retry_after=limits.RECONNECT_SECONDS_MIN) from None
    failure.raiseException()


def beside(layout: Layout) -> tuple[Path, ...]:
    """Return the small files that a backup takes along: without them a server is a stranger."""
    return (layout.identity, layout.ssh_host_key)


class _Sample(NamedTuple):
    at: float
    counts: dict[str, int]


def rates_of(config: Config) -> dict[str, Rate]:
    """Return what one member may ask for."""
    bounds = config.limits
    return {
        "message": Rate(burst=bounds.message_burst, per_second=bounds.message_per_second),
        "command": Rate(burst=bounds.command_burst, per_second=bounds.command_per_second),
    }


def admission_of(config: Config) -> dict[str, Any]:
    """Return how many strangers one address may be."""
    bounds = config.limits
    return {
        "at_once": bounds.strangers_per_address,
        "wasted": Rate(
            burst=bounds.wasted_per_address,
            per_second=bounds.wasted_per_address / limits.UNAUTHENTICATED_WINDOW_SECONDS,
        ),
        "exempt": bounds.exempt,
    }


def database_bytes(path: Path) -> int:
    """Return how much a database takes on disk, with its write-ahead log."""
    found = 0
    for one in (path, Path(f"{path}-wal")):
        if one.exists():
            found += one.stat().st_size
    return found


def _told(facts: CertificateFacts, where: str) -> messages.Certificate:
    return messages.Certificate(
        subject=facts.subject,
        names=", ".join(facts.names),
        issuer="itself" if facts.self_signed else facts.issuer,
        key=facts.key,
        begins=max(facts.not_before, 0),
        ends=max(facts.not_after, 0),
        days_left=(facts.not_after - wall_clock()) // DAY_MS,
        self_signed=facts.self_signed,
        file=where,
        spki_sha256=facts.spki_sha256.hex(),
    )
