"""The daemon as twistd runs it: options, files, signals, both with a terminal and daemonised."""

import gc
import io
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from lairchat.core.admission import Admission
from lairchat.core.feature import Feature
from lairchat.core.throttle import Rate
from lairchat.daemon import NEW_OBJECTS, Daemon, spare_the_collector
from lairchat.demo_server import ServerFailedError, checkout, free_port
from lairchat.features.messages import messages as wire
from lairchat.logs import json_observer, text_observer
from lairchat.model.refusals import StoreBroken
from lairchat.storage import log
from lairchat.transports.certificate import write_self_signed
from lairchat.transports.framed import FramedFactory
from tests.blackbox.daemon import DaemonTest, awaited
from tests.harness import Server


def twistd(*arguments: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run twistd to its end."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(checkout()), "HOME": str(cwd), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_print_config_and_check_config_touch_nothing(tmp_path: Path) -> None:
    printed = twistd("-n", "lairchat", "--print-config", cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert "[listen.chat]" in printed.stdout
    good = tmp_path / "good.toml"
    good.write_text(printed.stdout)
    checked = twistd("-n", "lairchat", "--check-config", "--config", str(good), cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, f"{good}: good\n")
    assert {path.name for path in tmp_path.iterdir()} == {"good.toml"}


def test_a_broken_config_ends_with_one_and_its_place(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[listen.chat]\nendpiont = "x"\n')
    result = twistd("-n", "lairchat", "--config", str(bad), cwd=tmp_path)
    assert result.returncode == 1
    assert f"LC-CFG  {bad}:2:1" in result.stderr
    assert "Traceback" not in result.stderr
    missing = twistd("-n", "lairchat", "--config", "/no/such.toml", cwd=tmp_path)
    assert missing.returncode == 1
    assert "LC-CFG" in missing.stderr


def test_daemonised_it_listens_logs_and_stops(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "lairchat.toml"
    config.write_text(
        f'[listen.chat]\nendpoint = "tcp:{port}:interface=127.0.0.1"\n[log]\nformat = "json"\n'
    )
    data = tmp_path / "data"
    began = time.monotonic()
    result = twistd("lairchat", "--config", str(config), "--data", str(data), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "first start" in result.stdout
    try:
        pid = int((data / "lairchat.pid").read_text())
        assert stat.S_IMODE((data / "lairchat.pid").stat().st_mode) & 0o077 == 0
        log = data / "lairchat.log"
        while "listening" not in log.read_text():
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        assert stat.S_IMODE(log.stat().st_mode) & 0o077 == 0
        assert (data / "owner-link").read_text().strip() not in log.read_text()
        again = twistd("lairchat", "--config", str(config), "--data", str(data), cwd=tmp_path)
        assert again.returncode == 1
        assert "LC-START-LOCK" in again.stderr
    finally:
        os.kill(pid, signal.SIGTERM)
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() - began < 20
        time.sleep(0.05)
    assert not (tmp_path / "twistd.pid").exists()
    assert not (data / "lairchat.pid").exists()


class Signals(DaemonTest):
    """What the running daemon does when it is told to."""

    @awaited
    async def test_sigterm_tells_the_clients_and_loses_nothing(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        asked = [Deferred.fromCoroutine(alice.say(1, f"last words {n}")) for n in range(50)]
        sents = [await asked[0]]
        for one in asked[1:]:
            one.addBoth(sents.append)
        assert self.server.process is not None
        process = self.server.process
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            assert time.monotonic() - began < 5, "it did not stop within five seconds"
            await deferLater(reactor, 0.02)
        # twistd ends itself by the signal that asked it to, once everything is in order.
        assert process.returncode == -signal.SIGTERM
        stored = [sent.seq for sent in sents if isinstance(sent, wire.Sent)]
        assert bob.connection is not None
        assert bob.connection._reason is not None
        assert bob.connection._reason.code == "LC-SHUTDOWN"
        self.server.process = None
        self.server.start()
        await alice.connect()
        await alice.resume()
        assert stored
        # What was taken on was finished and answered, and nothing else is stored.
        log = [event.seq for event in await alice.log(1) if event.kind == "app"]
        assert log == sorted(stored)

    @awaited
    async def test_sighup_takes_a_new_certificate_and_drops_nobody(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        assert alice.dialer.facts is not None
        before = alice.dialer.facts.spki_sha256
        write_self_signed(self.server.data / "tls.pem", "localhost", time.time_ns() // 1_000_000)
        os.kill(self.server.pid, signal.SIGHUP)
        await self.until_logged("certificate reloaded")
        sent = await alice.say(1, "on the old certificate")
        await bob.hear(1, sent.seq)
        carol = self.member("carol")
        await carol.connect()
        assert carol.dialer.facts is not None
        assert carol.dialer.facts.spki_sha256 != before
        assert carol.server == alice.server

    @awaited
    async def test_sighup_with_a_broken_config_changes_nothing(self) -> None:
        alice = await self.owner()
        good = self.server.config.read_text()
        self.server.config.write_text(good + "\n[nonsense]\nx = 1\n")
        os.kill(self.server.pid, signal.SIGHUP)
        await self.until_logged("reload refused")
        await alice.say(1, "still here")
        self.server.config.write_text(good + "\n[log]\nformat = 'json'\n")
        os.kill(self.server.pid, signal.SIGHUP)
        await self.until_logged("restart to apply")

    async def until_logged(self, text: str) -> None:
        for _ in range(200):
            if text in self.printed():
                return
            await deferLater(reactor, 0.05)
        raise AssertionError(f"{text!r} was never logged:\n{self.printed()}")


class Starts(DaemonTest):
    """How it comes up."""

    autostart = False
    extra = '[log]\nformat = "json"\nlevel = "debug"\n'

    @awaited
    async def test_it_is_ready_quickly_and_three_lines_the_second_time(self) -> None:
        self.server.start()
        assert self.server.ready_seconds < 10
        assert "Ready in " in self.printed()
        await self.owner()
        self.server.stop()
        offset = len(self.printed())
        self.server.start()
        lines = [line for line in self.printed()[offset:].splitlines() if not line.startswith("{")]
        assert len(lines) == 3, lines
        assert lines[0].startswith("Lair Chat ")
        assert "ready in" in lines[2]
        # What it will ever make is for its owner alone, whatever the shell said.
        assert "\nUmask:\t0077\n" in Path(f"/proc/{self.server.pid}/status").read_text()

    @awaited
    async def test_a_public_listener_is_warned_about(self) -> None:
        port = self.server.port
        self.server.config.write_text(f'[listen.chat]\nendpoint = "tcp:{port}:interface=0.0.0.0"\n')
        self.server.start()
        assert "can be reached from other computers" in self.printed()
        self.server.stop()
        offset = len(self.printed())
        with self.server.config.open("a") as config:
            config.write("[limits]\nreviewed = true\n")
        self.server.start()
        assert "can be reached" not in self.printed()[offset:]
        await deferLater(reactor, 0)

    @awaited
    async def test_a_listener_that_cannot_listen_ends_it(self) -> None:
        self.server.config.write_text(
            '[listen.chat]\nendpoint = "unix:/no/such/directory/socket"\ntls = false\n'
        )
        with pytest.raises(ServerFailedError, match="LC-START"):
            self.server.start()
        self.server.output.unlink()
        self.server.config.write_text('[listen.chat]\nendpoint = "nonsense:1"\n')
        with pytest.raises(ServerFailedError, match="LC-CFG"):
            self.server.start()
        self.server.output.unlink()
        await deferLater(reactor, 0)


class UpkeepTest(TestCase):
    """What the daemon does every hour, on a server without sockets."""

    def test_it_goes_on_until_nothing_is_left_and_others_come_in_between(self) -> None:
        left = [True, True, False, False]
        feature = Feature(name="dusty", upkeep=lambda *_: left.pop(0))
        server = Server([feature])
        self.addCleanup(server.close)
        cast("Any", daemon_of(server))._upkeep()
        server.settle()
        self.assertEqual(left, [False])
        self.assertEqual(server.database.writer.stats.groups, 3)

    def test_it_does_not_go_on_while_the_server_stops(self) -> None:
        left = [True, False]
        server = Server([Feature(name="dusty", upkeep=lambda *_: left.pop(0))])
        self.addCleanup(server.close)
        server.kernel.close()
        cast("Any", daemon_of(server))._upkeep()
        server.settle()
        self.assertEqual(left, [False])


class BrokenDiskTest(TestCase):
    """A disk that fails while the server runs, on a server without sockets."""

    def test_the_log_says_why_it_ends(self) -> None:
        server = Server([])
        self.addCleanup(server.close)
        for make in (text_observer, json_observer):
            file = io.StringIO()
            observer = make(file)
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
            cast("Any", daemon_of(server))._fatal(StoreBroken())
            self.assertIn("LC-STORE-BROKEN", file.getvalue())
            self.assertNotIn("TRACEBACK", file.getvalue())

    def test_nothing_is_written_to_it_any_more(self) -> None:
        path = Path(self.mktemp()).absolute()
        server = Server([], url=f"sqlite:///{path}")
        self.addCleanup(server.close)
        server.change(lambda connection: log.create_head(connection, 1))
        kept = Path(f"{path}-wal").read_bytes()
        daemon: Any = daemon_of(server)
        server.database.writer.on_fatal = daemon._fatal
        server.database.writer.fail(StoreBroken())
        self.successResultOf(daemon.stopService())
        self.assertEqual(daemon.exit_status, 1)
        self.assertNotEqual(kept, b"")
        self.assertEqual(Path(f"{path}-wal").read_bytes(), kept)


def daemon_of(server: Server) -> Daemon:
    """Return a daemon that runs on the parts of a server in memory."""
    clock: Any = server.clock
    clock.running = False
    daemon = Daemon(clock, cast("Any", None), cast("Any", None))
    daemon.database, daemon.kernel, daemon.hub = server.database, server.kernel, server.hub
    admission = Admission(server.throttle, at_once=1, wasted=Rate(burst=1, per_second=1))
    daemon.factory = FramedFactory(server.kernel, cast("Any", None), admission, clock)
    daemon.cellar = cast("Any", SimpleNamespace(finished=lambda: succeed(None)))  # it has no files
    daemon._lock = os.open(os.devnull, os.O_RDONLY)
    return daemon


class Plain(DaemonTest):
    """A listener without TLS, as an onion service or a Unix socket has it."""

    autostart = False

    @awaited
    async def test_a_unix_socket_serves_too(self) -> None:
        path = self.directory / "chat.socket"
        self.server.config.write_text(
            self.server.config.read_text()
            + f'\n[listen.local]\nendpoint = "unix:{path}"\ntls = false\n'
        )
        self.server.start()
        assert stat.S_ISSOCK(path.stat().st_mode)
        alice = await self.owner()
        await alice.say(1, "hello")


def test_garbage_is_looked_for_less_often_and_not_in_what_lives_for_good() -> None:
    before = gc.get_threshold()
    try:
        spare_the_collector()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == NEW_OBJECTS
        assert gc.isenabled(), "cycles are found all the same"
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
