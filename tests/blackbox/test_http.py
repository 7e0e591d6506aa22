"""The HTTP door of a real daemon: health while things break, and a real Prometheus that scrapes it.

Defends docs/how-to and the reference of metrics: what they name is there, under faults too.
"""

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.threads import deferToThread

from lairchat.demo_server import free_port
from lairchat.model import limits
from tests.blackbox.daemon import ROOMY, DaemonTest, RawClient, awaited
from tests.requirements import require

pytestmark = pytest.mark.blackbox

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "http.rst"


class Probe:
    """Asks one daemon's HTTP door; blocking."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def ready(self) -> tuple[int, list[str]]:
        """Return whether the server is ready: status and reasons."""
        status, _, body = self.get("/health/ready")
        return status, json.loads(body)["reasons"]

    def until(self, condition: Callable[[], object], what: str, seconds: float = 15) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.1)

    def until_ready(self) -> None:
        """Wait until the server is ready again."""
        self.until(lambda: self.ready() == (200, []), "ready")


@contextlib.contextmanager
def prometheus(
    directory: Path, target: str, how: str = "", rules: Path | None = None
) -> Iterator[Probe]:
    """Let a real Prometheus scrape a daemon, and yield what asks it.

    how: lines for the job's configuration.  rules: alerts that it shall judge.
    """
    scratch = Path(tempfile.mkdtemp(prefix="lair-prometheus-", dir=directory))
    config = scratch / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n"
        f"rule_files: {[str(rules)] if rules else []}\n"
        "scrape_configs:\n"
        "- job_name: lairchat\n"
        f"  static_configs: [{{targets: ['{target}']}}]\n{how}"
    )
    port = free_port()
    log = (scratch / "log").open("wb")
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={scratch / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=scratch,
    )
    try:
        yield Probe(port)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def values(asked: Probe, query: str) -> list[str]:
    """Return what Prometheus finds for a query, nothing while it has not started."""
    try:
        body = asked.get(f"/api/v1/query?query={quote(query)}")[2]
        return [one["value"][1] for one in json.loads(body)["data"]["result"]]
    except (OSError, ValueError, http.client.HTTPException):
        return []


def assert_scrapes(directory: Path, target: str, how: str = "") -> None:
    """Let a real Prometheus scrape a daemon where somebody has said three things.

    how: lines for the job's configuration.
    """
    with prometheus(directory, target, how) as asked:

        def value(query: str) -> str | None:
            return next(iter(values(asked, query)), None)

        asked.until(lambda: value("up") == "1", "the first scrape", 40)
        asked.until(lambda: value("lairchat_messages_total") == "3", "the messages")
        assert value("sum(lairchat_connections)") is not None
        assert value("lairchat_build_info") == "1"
        assert value("histogram_quantile(0.99,lairchat_message_fanout_seconds_bucket)") != "NaN"
        assert float(value("process_resident_memory_bytes") or 0) > 1e6
        expiry = float(value("lairchat_tls_certificate_expiry_timestamp_seconds-time()") or 0)
        assert 390 * 86_400 < expiry < 400 * 86_400


class Healthy(DaemonTest):
    """A daemon without troubles; whoever asks may ask often."""

    extra = ROOMY + 'exempt = ["127.0.0.0/8"]\n'

    def setUp(self) -> None:
        super().setUp()
        self.probe = Probe(self.server.door("http"))

    @awaited
    async def test_health_names_every_check(self) -> None:
        status, headers, body = await deferToThread(self.probe.get, "/health")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        told = json.loads(body)
        assert told["status"] == "ok", told
        names = {"database", "writer", "migration", "disk", "certificate", "draining"}
        assert names <= set(told["checks"])
        assert all(check["status"] == "ok" and check["text"] for check in told["checks"].values())
        assert await deferToThread(self.probe.ready) == (200, [])
        assert (await deferToThread(self.probe.get, "/health/live"))[0] == 200

    @awaited
    async def test_the_status_page_needs_no_script_and_asks_nobody_else(self) -> None:
        await self.friends("alice", "bob")
        status, headers, body = await deferToThread(self.probe.get, "/")
        page = body.decode()
        assert status == 200
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "script" not in policy
        assert "<script" not in page
        assert not re.search(r"\s(src|srcset|action|style|on\w+)=", page)
        assert "//" not in re.sub(r"<!DOCTYPE html>", "", page)
        assert all(link.startswith("/") for link in re.findall(r'href="([^"]*)"', page))
        assert page.count("<table aria-labelledby=") == page.count("<h2 id=")
        assert '<html lang="en">' in page
        assert "color-scheme: light dark" in page
        assert "2, 2 online" in page
        assert '<meta http-equiv="refresh" content="5">' in page
        still = (await deferToThread(self.probe.get, "/?still"))[2].decode()
        assert "http-equiv" not in still

    @awaited
    async def test_promtool_finds_nothing_to_complain_of_in_either_format(self) -> None:
        require("promtool")
        members = await self.friends("alice", "bob")
        await members[0].say(1, "hello")
        for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
            _, headers, body = await deferToThread(self.probe.get, "/metrics", Accept=accept)
            assert headers["Content-Type"].startswith(accept.partition(";")[0])
            if accept == "text/plain":
                checked = await deferToThread(
                    subprocess.run,
                    ["promtool", "check", "metrics"],
                    input=body,
                    capture_output=True,
                    check=False,
                )
                assert (checked.returncode, checked.stderr) == (0, b""), checked
            text = body.decode()
            assert "_created" not in text
            assert 'lairchat_messages_total{kind="app"} 1.0' in text
            assert 'lairchat_connections{transport="chat"} 2.0' in text
            assert "lairchat_message_fanout_seconds_count 0.0" not in text
            for private in ("alice", "bob", "127.0.0.1", "hello"):
                assert private not in text

    @awaited
    async def test_every_metric_and_check_is_in_the_reference_in_the_same_words(self) -> None:
        reference = REFERENCE.read_text("utf-8")
        documented = dict(
            re.findall(r"^``(lairchat_\w+)``\n   An? (\w+)[^\n]*\n   ", reference, re.MULTILINE)
        )
        text = (await deferToThread(self.probe.get, "/metrics"))[2].decode()
        types = dict(re.findall(r"^# TYPE (lairchat_\w+) (\w+)$", text, re.MULTILINE))
        # A backup there is none of yet.
        types.setdefault("lairchat_backup_last_success_timestamp_seconds", "gauge")
        assert documented == types
        for about in re.findall(r"^# HELP lairchat_\w+ (.*)$", text, re.MULTILINE):
            assert f"\n   {about}\n" in reference, about
        checks = json.loads((await deferToThread(self.probe.get, "/health"))[2])["checks"]
        section = reference.partition("\nChecks\n")[2].partition("\nWhat is answered\n")[0]
        assert re.findall(r"^``(\w+)``$", section, re.MULTILINE) == list(checks)

    @awaited
    async def test_what_strangers_do_makes_no_new_series(self) -> None:
        def series() -> set[str]:
            text = self.probe.get("/metrics")[2].decode()
            return {line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"}

        def visit() -> None:
            for number in range(30):
                self.probe.get(f"/{number}")
                self.probe.get("/", Host=f"name{number}.example")

        await deferToThread(visit)
        await deferToThread(series)  # which is a page, too
        before = await deferToThread(series)
        await deferToThread(visit)
        for name in ("carol", "dave", "erin"):
            stranger = self.member(name)
            await stranger.connect()
            with contextlib.suppress(Exception):
                await stranger.login()
        assert await deferToThread(series) == before

    @awaited
    async def test_a_real_prometheus_scrapes_it(self) -> None:
        require("prometheus")
        members = await self.friends("alice", "bob")
        for number in range(3):
            await members[0].say(1, f"number {number}")
        await deferToThread(assert_scrapes, self.directory, f"127.0.0.1:{self.probe.port}")


class Troubled(DaemonTest):
    """A daemon whose surroundings fail."""

    def setUp(self) -> None:
        super().setUp()
        self.probe = Probe(self.server.door("http"))

    @awaited
    async def test_while_another_program_holds_the_database(self) -> None:
        alice = await self.owner()
        await deferToThread(self.probe.until_ready)
        holder = sqlite3.connect(self.server.data / "lair.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        def held() -> bool:
            began = time.monotonic()
            status, reasons = self.probe.ready()
            assert time.monotonic() - began < 4  # the answer does not wait for the lock
            return status == 503 and any(reason.startswith("writer: ") for reason in reasons)

        await deferToThread(self.probe.until, held, "not ready")
        assert (await deferToThread(self.probe.get, "/health/live"))[0] == 200
        status, _, body = await deferToThread(self.probe.get, "/health")
        assert status == 503
        assert json.loads(body)["checks"]["database"]["status"] == "ok"  # it is read all the same
        metrics = (await deferToThread(self.probe.get, "/metrics"))[2]
        assert b'lairchat_health{check="writer"} 2.0' in metrics
        assert (await deferToThread(self.probe.get, "/"))[0] == 200
        holder.execute("ROLLBACK")
        holder.close()
        await deferToThread(self.probe.until_ready)
        await alice.say(1, "it goes on")

    @awaited
    async def test_while_it_stops(self) -> None:
        await self.owner()
        slow = await deferToThread(RawClient, self.server.port)  # does not react to the goodbye
        await deferToThread(self.probe.until_ready)
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            status, reasons = self.probe.ready()
            return (status, reasons) == (503, ["draining: the server is stopping"])

        await deferToThread(self.probe.until, refused, "draining is told", 2)
        assert (await deferToThread(self.probe.get, "/health/live"))[0] == 200
        await deferToThread(self.server.process.wait, 10)
        slow.close()


class Reloaded(DaemonTest):
    """A daemon whose operator changes the limits of addresses."""

    @awaited
    async def test_who_is_made_exempt_asks_as_often_as_it_likes_from_then_on(self) -> None:
        probe = Probe(self.server.door("http"))

        def ask() -> set[int]:
            return {probe.get("/health/live")[0] for _ in range(2 * limits.HTTP_BURST)}

        assert await deferToThread(ask) == {200, 429}
        config = self.server.config.read_text("utf-8")
        self.server.config.write_text(config + 'exempt = ["127.0.0.0/8"]\n', encoding="utf-8")
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGHUP)
        await deferToThread(
            probe.until, lambda: "configuration reloaded" in self.printed(), "the reload"
        )
        assert await deferToThread(ask) == {200}

    @awaited
    async def test_a_name_that_is_added_is_answered_to_from_then_on(self) -> None:
        probe = Probe(self.server.door("http"))

        def ask() -> int:
            return probe.get("/health/live", Host="proxy.example")[0]

        assert await deferToThread(ask) == 421
        config = self.server.config.read_text("utf-8")
        named = re.sub(
            r"^\[http\]$", '[http]\nhosts = ["Proxy.Example"]', config, flags=re.MULTILINE
        )
        assert named != config
        self.server.config.write_text(named, encoding="utf-8")
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGHUP)
        await deferToThread(
            probe.until, lambda: "applied: http.hosts" in self.printed(), "the reload"
        )
        assert await deferToThread(ask) == 200


class SmallDisk(DaemonTest):
    """A daemon whose data directory is a file system of 128 MB."""

    autostart = False

    def setUp(self) -> None:
        require("root", "mounts")
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=False)
        self.addCleanup(self.server.stop)  # before the disk goes
        self.server.data = self.disk / "data"
        self.server.start()
        self.probe = Probe(self.server.door("http"))

    @awaited
    async def test_while_the_disk_is_full(self) -> None:
        from lairchat.model.refusals import StoreFull

        alice = await self.owner()
        status, _, body = await deferToThread(self.probe.get, "/health")
        assert (status, json.loads(body)["status"]) == (200, "warn")  # 128 MB is little already
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with contextlib.suppress(StoreFull):
            for number in range(100):
                await alice.say(1, f"{number} " + "x" * 3_000)
        await deferToThread(self.probe.until, lambda: self.probe.ready()[0] == 503, "not ready")
        _, reasons = await deferToThread(self.probe.ready)
        assert any(re.match(r"disk: \S+ \w+ free, 32 MiB are needed", one) for one in reasons), (
            reasons
        )
        assert (await deferToThread(self.probe.get, "/metrics"))[0] == 200
        filler.unlink()
        await deferToThread(self.probe.until_ready)
        await alice.say(1, "space again")


class Strangers(DaemonTest):
    """Slow and endless requests by the hundred, with the limits that a server has by default."""

    extra = ROOMY.replace("wasted_per_address = 100000", "wasted_per_address = 32")

    @awaited
    async def test_slow_headers_by_the_hundred_and_endless_bodies_leave_the_chat_alone(
        self,
    ) -> None:
        alice, bob = await self.friends("alice", "bob")
        port = self.server.door("http")
        probe = Probe(port)
        await deferToThread(probe.until_ready)
        before = self.memory()
        slow = await deferToThread(self.dial, port, 300)
        began = time.monotonic()
        sent = await alice.say(1, "while they drip")
        assert time.monotonic() - began < 1
        await deferToThread(self.drip, slow)
        assert time.monotonic() - began < 20  # ten seconds and the linger, whatever they drip
        for connection in slow:
            connection.close()
        assert self.memory() - before < 16 * 1024 * 1024
        assert sent.seq in [event.seq for event in await bob.log(1)]
        # Their address has used up its patience, at every door; who is in stays in.
        assert await deferToThread(self.is_turned_away, port)
        assert await deferToThread(self.is_turned_away, self.server.port)
        await alice.say(1, "still here")

    def memory(self) -> int:
        status = Path(f"/proc/{self.server.pid}/status").read_text("ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def dial(self, port: int, count: int) -> list[socket.socket]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft > count + 100 or hard > count + 100
        started = []
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", port), 10)
            start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
            if number % 2:
                start += b"Transfer-Encoding: chunked\r\n\r\n"
            with contextlib.suppress(OSError):
                connection.sendall(start)
            started.append(connection)
        return started

    def drip(self, connections: list[socket.socket]) -> None:
        """Send a byte a second on each connection until all are closed by the server."""
        live = set(connections)
        deadline = time.monotonic() + 30
        while live:
            assert time.monotonic() < deadline, f"{len(live)} are still open"
            for connection in list(live):
                connection.settimeout(0.001)
                try:
                    connection.send(b"X")
                    if not connection.recv(65_536):
                        live.discard(connection)
                except TimeoutError:
                    continue
                except OSError:
                    live.discard(connection)
            time.sleep(0.5)  # between two looks at who still lives

    def is_turned_away(self, port: int) -> bool:
        """Say whether a new connection is closed at once."""
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            try:
                return connection.recv(1) == b""
            except ConnectionResetError:
                return True


class Encrypted(DaemonTest):
    """HTTP with TLS, when the operator asks for it."""

    extra = ROOMY + '[http]\nendpoint = "tcp:0:interface=127.0.0.1"\ntls = true\n'

    @awaited
    async def test_health_over_http_2_with_the_certificate_of_the_chat(self) -> None:
        require("curl", "nghttp")
        port = self.server.door("http")
        certificate = self.server.data / "tls.pem"

        def run(*command: str) -> Any:
            return subprocess.run(command, capture_output=True, check=False, timeout=30)

        said = await deferToThread(
            run,
            "curl", "-sS", "--http2", "--cacert", str(certificate), "-w", "%{http_version}",
            f"https://localhost:{port}/health/ready",
        )  # fmt: skip
        assert said.stdout.endswith(b"}\n2"), said
        said = await deferToThread(run, "nghttp", "-nv", f"https://127.0.0.1:{port}/metrics")
        assert b":status: 200" in said.stdout, said

    @awaited
    async def test_a_real_prometheus_scrapes_it_over_tls(self) -> None:
        require("prometheus")
        members = await self.friends("alice", "bob")
        for number in range(3):
            await members[0].say(1, f"number {number}")
        certificate = self.server.data / "tls.pem"
        how = (
            f"  scheme: https\n  tls_config: {{ca_file: '{certificate}', server_name: localhost}}\n"
        )
        await deferToThread(
            assert_scrapes, self.directory, f"127.0.0.1:{self.server.door('http')}", how
        )
