"""What operators command of a running daemon, through its socket: one daemon, every kind of command."""

import json
import os
import subprocess
import sys
import time

from twisted.internet import reactor
from twisted.internet.task import deferLater

from lairchat.demo_server import checkout
from lairchat.transports.certificate import make_self_signed
from tests.blackbox.daemon import DaemonTest, awaited, lairctl, lairctl_beside


class Hosted(DaemonTest):
    def told(self, *words: str, status: int = 0) -> str:
        ran = lairctl(self.server, *words)
        assert ran.returncode == status, (words, ran.stdout, ran.stderr)
        return ran.stderr if status else ran.stdout

    def look_at_rates(self) -> None:
        """Look at the live figures as a script does, until enough is seen."""
        command = [sys.executable, "-P", "-m", "lairchat.lairctl", "--data", str(self.server.data)]
        environ = {**os.environ, "PYTHONPATH": str(checkout())}
        with subprocess.Popen(
            [*command, "stats", "top", "--json"], stdout=subprocess.PIPE, text=True, env=environ
        ) as live:
            assert live.stdout is not None
            text = ""
            while "too often" not in text:
                line = live.stdout.readline()
                assert line, text
                text += line
            live.terminate()
        assert '"messages stored"' in text
        assert "per_second" in text

    async def end(self) -> None:
        """Let an operator stop the server, which then ends as a program does that was not killed."""
        self.told("server", "shutdown", "--yes")
        assert self.server.process is not None
        process = self.server.process
        for _ in range(200):
            if process.poll() is not None:
                break
            await deferLater(reactor, 0.05)
        assert process.returncode == 0
        self.server.process = None

    @awaited
    async def test_it_says_how_it_is(self) -> None:
        alice = await self.owner()
        for number in range(20):
            await alice.say(1, f"message {number}")
        status = json.loads(
            (await lairctl_beside(self.server, "server", "status", "--json")).stdout
        )
        assert status["state"] == "running"
        assert status["pid"] == self.server.pid
        assert (status["connections"], status["people"], status["accounts"]) == (1, 1, 1)
        assert f"chat 127.0.0.1:{self.server.port} tls" in status["listening"]
        stats = json.loads((await lairctl_beside(self.server, "stats", "show", "--json")).stdout)
        assert stats["units"] >= 20
        assert stats["memory"] > 10_000_000
        assert stats["files"] > 5
        shown = json.loads(self.told("cert", "show", "--json"))
        assert shown["self_signed"]
        assert shown["days_left"] > 300
        assert "not enough" not in self.told("db", "vacuum", "--dry-run")
        assert self.told("backup", "restore", "x", "--yes", status=3).startswith(
            "LC-BACKUP-UNKNOWN"
        )
        self.told("backup", "create", "kept")
        assert self.told("backup", "restore", "kept", "--yes", status=1).startswith(
            "LC-RESTORE-RUNNING"
        )
        assert "vacuumed" in self.told("db", "vacuum", "--yes")
        self.look_at_rates()
        self.told("log", "level", "debug")
        assert "cert renew" in self.told("cert", "renew") + self.told("log", "tail")
        await self.end()

    @awaited
    async def test_a_reload_is_all_or_nothing(self) -> None:
        good = self.server.config.read_text()
        values = self.told("config", "show", "--json")
        self.server.config.write_text(good + "[tls]\ncertificate = '/no/such.pem'\n")
        assert self.told("config", "reload", status=1).startswith("LC-START-CERT")
        self.server.config.write_text(good + "[log]\nlevle = 'warn'\n")
        assert "levle" in self.told("config", "reload", status=1)
        assert self.told("config", "show", "--json") == values
        own = self.directory / "own.pem"
        own.write_bytes(make_self_signed("chat.example.org", time.time_ns() // 1_000_000))
        own.chmod(0o600)
        self.server.config.write_text(
            good.replace("[ssh]\n", "[ssh]\nmanhole = true\nenabled = false\n")
            + f"[tls]\ncertificate = '{own}'\n"
        )
        tried = self.told("config", "reload", "--dry-run")
        assert "applied 2 keys; 1 key for the next start" in tried
        assert self.told("config", "show", "--json") == values
        assert "applied 2 keys; 1 key" in self.told("config", "reload")
        assert "chat.example.org" in self.told("cert", "show")
        assert "nothing new to apply; 1 key for the next start" in self.told("config", "reload")
        # Back to the server's own certificate, which somebody has deleted meanwhile.
        (self.server.data / "tls.pem").unlink()
        self.server.config.write_text(good)
        tried = self.told("config", "reload", "--dry-run")
        assert not (self.server.data / "tls.pem").exists()
        self.told("config", "reload")
        assert (self.server.data / "tls.pem").exists()
        assert "localhost" in self.told("cert", "show")
        self.told("cert", "renew", "--dry-run")
        assert json.loads(self.told("config", "diff", "--json")) == []
        assert "good" in self.told("config", "check")
        assert "message_burst" in self.told("config", "show", "limits")
        assert "at a reload" in self.told("config", "explain", "ssh.manhole")
        await self.end()

    @awaited
    async def test_a_planned_stop_is_replaced_and_taken_back(self) -> None:
        self.told("server", "shutdown", "--in", "1h", "--yes")
        self.told("server", "shutdown", "--in", "2h", "--yes")
        notice = json.loads(self.told("server", "status", "--json"))["notice"]
        assert 7_000 < int(notice.split()[2]) <= 7_200
        self.told("server", "shutdown", "--cancel", "--yes")
        assert "no stop was planned" in self.told("server", "shutdown", "--cancel", "--yes")
        self.told("server", "maintenance", "on", "--yes")
        assert json.loads(self.told("server", "status", "--json"))["state"] == "maintenance"
        await self.end()
