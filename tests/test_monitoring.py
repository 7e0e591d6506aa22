"""What the daemon's checks find, on parts that the test makes; the whole is in tests/blackbox."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat import monitoring
from lairchat.core.health import Level
from lairchat.core.measures import Measures, Sample
from lairchat.host import wall_clock
from lairchat.model import limits
from lairchat.model.refusals import StoreBusy
from lairchat.monitoring import Monitoring, disk_free, size, span
from lairchat.storage import migrate
from lairchat.storage.group import Outcome
from lairchat.storage.writer import Stats
from lairchat.transports.http_answer import Answer, Asked

DAY = 86_400


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (32 << 20, "32 MiB"),
     (3 << 29, "1.5 GiB"), (5 << 40, "5.0 TiB"), (5000 << 40, "5,000.0 TiB")],
)  # fmt: skip
def test_sizes_in_words(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_600, "1 h 0 min"), (47 * 3_600, "47 h 0 min"),
     (2 * DAY, "2 d"), (397 * DAY, "397 d")],
)  # fmt: skip
def test_spans_in_words(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_free_space_is_what_the_kernel_says(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    free, inodes = disk_free(tmp_path)
    assert abs(free - found.f_bavail * found.f_frsize) < 1 << 30
    assert inodes == -1 or inodes > 0


class Database:
    """A database whose answers the test decides."""

    def __init__(self) -> None:
        self.schema = migrate.revisions()[-1]
        self.written: Deferred[None] = succeed(None)
        self.writer = SimpleNamespace(depth=3, measured=None, stats=Stats())

    def read(self, query: Any) -> "Deferred[Any]":
        return succeed((self.schema, (5, 7)))

    def call(self, change: Any) -> "Deferred[None]":
        written, self.written = self.written, succeed(None)
        return written


class Checks(SynchronousTestCase):
    """A daemon of parts."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.free = (10 << 30, 1_000)
        self.patch(monitoring, "disk_free", lambda directory: self.free)
        directory = Path(self.mktemp())
        self.backups = directory / "backups"
        self.database = Database()
        facts = SimpleNamespace(not_after=wall_clock() + 60 * DAY * 1000)
        self.facts = facts
        self.daemon: Any = SimpleNamespace(
            reactor=self.clock,
            database=self.database,
            layout=SimpleNamespace(
                database=directory / "lair.db",
                backups=self.backups,
                config=SimpleNamespace(server=SimpleNamespace(name="chat.example")),
            ),
            tls=SimpleNamespace(credential=SimpleNamespace(facts=facts)),
            hub=SimpleNamespace(maintenance=None, people={}, channels={}),
            kernel=SimpleNamespace(closing=False),
            factory=SimpleNamespace(
                connections=lambda: [SimpleNamespace(peer=SimpleNamespace(outbox_bytes=9))]
            ),
            doors=SimpleNamespace(connections=lambda: {"http": 2}),
        )
        self.measures = Measures()
        self.monitoring = Monitoring(self.daemon, self.measures)

    def found(self, check: str) -> tuple[Level, str]:
        """Return what one check finds now."""
        self.clock.advance(limits.HEALTH_KEPT_SECONDS)
        finding = self.successResultOf(self.monitoring.health.examine()).findings[check]
        return finding.level, finding.text

    def test_all_is_well(self) -> None:
        report = self.successResultOf(self.monitoring.health.examine())
        assert report.level is Level.OK, report
        assert list(report.findings) == [
            "database", "writer", "migration", "disk", "certificate", "loop", "maintenance",
            "draining",
        ]  # fmt: skip

    def test_the_disk(self) -> None:
        for free, level in (
            (limits.DISK_LOW_BYTES, Level.OK),
            (limits.DISK_LOW_BYTES - 1, Level.WARN),
            (limits.DISK_FREE_BYTES, Level.WARN),
            (limits.DISK_FREE_BYTES - 1, Level.FAIL),
            (0, Level.FAIL),
        ):
            self.free = (free, 1_000)
            assert self.found("disk")[0] is level, free
        self.free = (1 << 40, 0)
        assert self.found("disk") == (Level.FAIL, "no file can be made any more (out of inodes)")
        self.free = (1 << 40, -1)
        assert self.found("disk")[0] is Level.OK

    def test_the_certificate(self) -> None:
        for days, level in (
            (14.1, Level.OK),
            (13.9, Level.WARN),
            (0.1, Level.WARN),
            (-3, Level.FAIL),
        ):
            self.facts.not_after = wall_clock() + round(days * DAY * 1000)
            assert self.found("certificate")[0] is level, days
        assert self.found("certificate")[1].startswith("it ended ")

    def test_another_schema_than_ours(self) -> None:
        self.database.schema = "9999_future"
        self.found("migration")  # the reading comes first in a report
        level, text = self.found("migration")
        assert level is Level.FAIL
        assert text.startswith("the schema is 9999, not 0")

    def test_a_writer_that_is_slow_held_or_hangs(self) -> None:
        slow: Deferred[None] = Deferred()
        self.database.written = slow
        self.clock.advance(limits.HEALTH_KEPT_SECONDS)
        asked = self.monitoring.health.examine()
        self.clock.advance(limits.QUEUE_SLOW_MILLISECONDS / 1000 + 0.1)
        slow.callback(None)
        finding = self.successResultOf(asked).findings["writer"]
        assert finding == (Level.WARN, "3 changes waited, a new one for 600.0 ms")
        self.database.written = fail(StoreBusy(retry_after=1))
        level, text = self.found("writer")
        assert level is Level.FAIL
        assert text.startswith("LC-STORE-BUSY")
        assert self.found("writer")[0] is Level.OK

    def test_maintenance_and_the_end(self) -> None:
        self.daemon.hub.maintenance = "for a while"
        assert self.found("maintenance") == (Level.FAIL, "the chat is closed by an operator")
        self.daemon.kernel.closing = True
        assert self.found("draining") == (Level.FAIL, "the server is stopping")

    def test_a_loop_that_came_late(self) -> None:
        self.monitoring.look()
        self.clock.advance(1.002)
        self.monitoring.look()
        assert self.found("loop") == (
            Level.OK,
            "what was due came within 2.5 ms in the last minute",
        )
        self.clock.advance(2)  # and one in found: two seconds late
        self.monitoring.look()
        assert self.found("loop")[0] is Level.WARN
        self.clock.advance(9)
        self.monitoring.look()
        level, text = self.found("loop")
        assert level is Level.WARN
        assert text == "what was due came after more than 2500 ms in the last minute"

    def values(self) -> Iterator[tuple[str, list[Sample]]]:
        for family in self.measures.families:
            if family.kind != "histogram":
                yield family.name, list(family.read())

    def test_every_gauge_has_a_figure(self) -> None:
        self.successResultOf(self.monitoring.health.examine())
        values = dict(self.values())
        assert values["lairchat_connections"] == [(("chat",), 1), (("http",), 2)]
        assert values["lairchat_send_queue_bytes"] == [((), 9)]
        assert values["lairchat_db_queue_changes"] == [((), 3)]
        assert values["lairchat_disk_free_bytes"] == [((), 10 << 30)]
        assert values["lairchat_backup_last_success_timestamp_seconds"] == []
        assert (("writer",), 0) in values["lairchat_health"]
        assert values["lairchat_build_info"][0].value == 1
        (self.backups / "one").mkdir(parents=True)
        (self.backups / "one" / "manifest.json").write_text("{}")
        (made,) = dict(self.values())["lairchat_backup_last_success_timestamp_seconds"]
        assert abs(made.value - wall_clock() / 1000) < 60

    def test_groups_of_changes_are_timed(self) -> None:
        measured: Any = self.database.writer.measured
        measured(Outcome(1, None, None, 1, False, 0.004, 0.02))
        assert self.measures.queries["write"].sum == 0.004
        assert self.measures.queries["commit"].sum == 0.02

    def test_the_status_page_and_metrics_are_made_of_it(self) -> None:
        pages = self.monitoring.pages()

        def get(path: str) -> str:
            made: Any = pages[path](Asked("", ""))
            answer: Answer = self.successResultOf(Deferred.fromCoroutine(made))
            return answer.body.decode()

        page = get("/")
        assert "<title>ok: chat.example</title>" in page
        assert "5, 0 online" in page
        assert "none yet" in page
        assert "nobody spoke in the last minute" in page
        self.monitoring.look()
        self.measures.fanout.observe(0.0004)
        self.measures.fanout.observe(9)
        assert "p50 within 0.5 ms, p99 after more than 500 ms" in get("/")
        assert 'lairchat_health{check="disk"} 0.0' in get("/metrics")
