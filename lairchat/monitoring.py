"""What the daemon tells about itself over HTTP: checks, gauges, the figures of the status page.

Part of the composition root (see tap.py).
"""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from lairchat import __version__
from lairchat.core.health import Finding, Health, Level
from lairchat.core.measures import LONG_SECONDS, SECONDS, Measures, Sample, Watch, labelled
from lairchat.features.admin import tables
from lairchat.host import database_bytes, wall_clock
from lairchat.layout import Layout
from lairchat.model import limits
from lairchat.storage import backup, migrate
from lairchat.storage.group import Outcome
from lairchat.transports.http_answer import Answer, Asked, Page
from lairchat.transports.http_metrics import Exposition
from lairchat.transports.http_pages import Section, pages

if TYPE_CHECKING:
    from lairchat.daemon import Daemon


class Monitoring:
    """The checks and gauges of a running daemon, and the pages that show them.

    look: to be called once a second.
    """

    def __init__(self, daemon: "Daemon", measures: Measures) -> None:
        self.health = Health(daemon.reactor)
        self._daemon = daemon
        self._layout: Layout = daemon.layout
        self._measures = measures
        self._began = daemon.reactor.seconds()
        self._watch = Watch(measures, daemon.reactor.seconds)
        self.look = self._watch.look
        self._schema = ""
        self._accounts = self._rooms = 0
        daemon.database.writer.measured = self._group
        self._add_checks()
        self._add_gauges()

    def pages(self) -> dict[str, Page]:
        """Return what is served over HTTP, by path."""
        exposition = Exposition(self._measures)

        async def metrics(asked: Asked) -> Answer:
            await self.health.examine()  # so that lairchat_health is of now
            return exposition.answer(asked)

        return pages(self.health, metrics, self._layout.config.server.name, self._sections)

    def _group(self, outcome: Outcome) -> None:
        self._measures.queries["write"].observe(outcome.running)
        self._measures.queries["commit"].observe(outcome.committing)

    # -- checks

    def _add_checks(self) -> None:
        add = self.health.add
        add("database", self._check_database)
        add("writer", self._check_writer)
        add("migration", self._check_migration)
        add("disk", self._check_disk)
        add("certificate", self._check_certificate)
        add("loop", self._check_loop)
        add("maintenance", self._check_maintenance)
        add("draining", self._check_draining)

    def _check_database(self) -> "Deferred[Finding]":
        """Read, as every client does when it connects."""
        started = self._daemon.reactor.seconds()

        def look(connection: Connection) -> tuple[str, tuple[int, int]]:
            (schema,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
            return schema, tables.counts(connection)

        def found(seen: tuple[str, tuple[int, int]]) -> Finding:
            self._schema, (self._accounts, self._rooms) = seen
            return Finding(Level.OK, f"read in {self._since(started)}")

        return self._daemon.database.read(look).addCallback(found)

    def _check_writer(self) -> "Deferred[Finding]":
        """Go through the queue of all changes with one that changes nothing: no fsync."""
        started = self._daemon.reactor.seconds()
        depth = self._daemon.database.writer.depth

        def found(_: None) -> Finding:
            slow = self._daemon.reactor.seconds() - started > limits.QUEUE_SLOW_MILLISECONDS / 1000
            text = f"{depth} changes waited, a new one for {self._since(started)}"
            return Finding(Level.WARN if slow else Level.OK, text)

        return self._daemon.database.call(_nothing).addCallback(found)

    def _since(self, started: float) -> str:
        return f"{(self._daemon.reactor.seconds() - started) * 1000:.1f} ms"

    def _check_migration(self) -> Finding:
        """Compare the schema with the one that this version knows; else another one is at work."""
        known = migrate.revisions()[-1]
        if self._schema and self._schema != known:
            other = migrate.number(self._schema)
            return Finding(Level.FAIL, f"the schema is {other}, not {migrate.number(known)}")
        return Finding(Level.OK, f"schema {migrate.number(known)}")

    def _check_disk(self) -> Finding:
        free, inodes = disk_free(self._layout.database.parent)
        text = f"{size(free)} free"
        if inodes == 0:
            return Finding(Level.FAIL, "no file can be made any more (out of inodes)")
        if free < limits.DISK_FREE_BYTES:
            return Finding(Level.FAIL, f"{text}, {size(limits.DISK_FREE_BYTES)} are needed")
        return Finding(Level.WARN if free < limits.DISK_LOW_BYTES else Level.OK, text)

    def _check_certificate(self) -> Finding:
        left = (self._daemon.tls.credential.facts.not_after - wall_clock()) // 1000
        if left <= 0:
            return Finding(Level.FAIL, f"it ended {span(-left)} ago")
        low = left < limits.CERTIFICATE_LOW_SECONDS
        return Finding(Level.WARN if low else Level.OK, f"it ends in {span(left)}")

    def _check_loop(self) -> Finding:
        lag = self._watch.recent().lag
        text = f"what was due came {_bound(lag, LONG_SECONDS)} in the last minute"
        return Finding(Level.WARN if lag >= 1 else Level.OK, text)

    def _check_maintenance(self) -> Finding:
        if self._daemon.hub.maintenance is None:
            return Finding(Level.OK, "the chat is open")
        return Finding(Level.FAIL, "the chat is closed by an operator")

    def _check_draining(self) -> Finding:
        if self._daemon.kernel.closing:
            return Finding(Level.FAIL, "the server is stopping")
        if self._daemon.hub.maintenance is not None:
            return Finding(Level.FAIL, "the chat is closed for maintenance")
        return Finding(Level.OK, "commands are taken")

    # -- gauges

    def _add_gauges(self) -> None:
        daemon, layout, measures = self._daemon, self._layout, self._measures
        hub, writer = daemon.hub, daemon.database.writer
        measures.gauges(
            "lairchat_build_info",
            "Always 1; which version runs on which Python.",
            ("version", "python"),
            lambda: [Sample((__version__, platform.python_version()), 1)],
        )
        measures.gauges(
            "lairchat_connections",
            "Connections that live now, by what is spoken on them.",
            ("transport",),
            lambda: labelled(
                {"chat": len(daemon.factory.connections()), **daemon.doors.connections()}
            ),
        )
        measures.gauge(
            "lairchat_people_online", "Accounts with a live connection.", lambda: len(hub.people)
        )
        measures.gauge(
            "lairchat_rooms_live",
            "Rooms that somebody with a live connection is in.",
            lambda: len(hub.channels),
        )
        measures.gauge(
            "lairchat_send_queue_bytes",
            "Bytes that wait for clients who do not read as fast as they are written to.",
            lambda: sum(one.peer.outbox_bytes for one in daemon.factory.connections()),
        )
        measures.gauge(
            "lairchat_db_queue_changes",
            "Changes that wait for the database's writer, or are being written.",
            lambda: writer.depth,
        )
        measures.counters(
            "lairchat_db_changes",
            "Changes that the writer dealt with, by what came of them.",
            ("result",),
            lambda: labelled(
                {
                    "done": max(0, writer.stats.units - writer.stats.refused - writer.stats.failed),
                    "refused": writer.stats.refused,
                    "failed": writer.stats.failed,
                }
            ),
        )
        measures.gauge(
            "lairchat_db_size_bytes",
            "The database on disk, with its write-ahead log.",
            lambda: database_bytes(layout.database),
        )
        measures.gauge(
            "lairchat_disk_free_bytes",
            "Free space where the database is.",
            lambda: disk_free(layout.database.parent)[0],
        )
        measures.gauge(
            "lairchat_tls_certificate_expiry_timestamp_seconds",
            "When the certificate of new connections ends, in seconds since 1970.",
            lambda: daemon.tls.credential.facts.not_after / 1000,
        )
        measures.gauge(
            "lairchat_backup_last_success_timestamp_seconds",
            "When the newest backup was finished, in seconds since 1970; absent without one.",
            lambda: backup.newest(layout.backups) / 1000 or None,
        )
        measures.gauges(
            "lairchat_health",
            "What the checks found: 0 all is well, 1 worth a look, 2 not ready for work.",
            ("check",),
            self._found,
        )

    def _found(self) -> list[Sample]:
        last = self.health.last
        found = {} if last is None else last.findings
        return labelled({name: int(finding.level) for name, finding in found.items()})

    # -- the status page

    async def _sections(self) -> Sequence[Section]:
        daemon = self._daemon
        hub, recent = daemon.hub, self._watch.recent()
        newest = backup.newest(self._layout.backups)
        ago = (wall_clock() - newest) // 1000
        return [
            Section(
                "Server",
                [
                    ("version", __version__),
                    ("up", span(daemon.reactor.seconds() - self._began)),
                    ("backup", f"{span(ago)} ago" if newest else "none yet"),
                ],
            ),
            Section(
                "People",
                [
                    ("connections", f"{len(daemon.factory.connections())}"),
                    ("accounts", f"{self._accounts:,}, {len(hub.people):,} online"),
                    ("rooms", f"{self._rooms:,}, {len(hub.channels):,} in use"),
                    ("logins refused", f"{recent.logins_failed:,} in the last minute"),
                ],
            ),
            Section(
                "Messages",
                [
                    ("a second", f"{recent.messages:.1f} in the last minute"),
                    ("time to everybody", _times(recent.fanout_p50, recent.fanout_p99)),
                    ("changes that wait", f"{daemon.database.writer.depth:,}"),
                    ("database", size(database_bytes(self._layout.database))),
                ],
            ),
        ]


def _nothing(connection: Connection) -> None:
    """Change nothing."""


def _times(p50: float | None, p99: float | None) -> str:
    if p50 is None or p99 is None:
        return "nobody spoke in the last minute"
    return f"p50 {_bound(p50, SECONDS)}, p99 {_bound(p99, SECONDS)}"


def _bound(seconds: float, bounds: Sequence[float]) -> str:
    if seconds > bounds[-1]:
        return f"after more than {bounds[-1] * 1000:g} ms"
    return f"within {max(seconds, bounds[0]) * 1000:g} ms"


def disk_free(directory: Path) -> tuple[int, int]:
    """Return free bytes and inodes for us where a directory is; -1 inodes: it does not count them."""
    found: Any = os.statvfs(directory)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else -1


def size(count: float) -> str:
    """Return bytes in words: "512 KiB", "1.2 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return (
                f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
            )
        count /= 1024
    return f"{count:,.1f} TiB"


def span(seconds: float) -> str:
    """Return a length of time in words: "63 d", "5 h 12 min"."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3_600), int(seconds // 86_400)
    if days >= 2:
        return f"{days} d"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
