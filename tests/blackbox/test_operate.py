"""What an operator does to a real server: back up under load, restore, go back, repair, stop."""

import json
import re
import shutil
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from lairchat.demo_server import ServerFailedError
from lairchat.model import limits
from lairchat.model.refusals import Maintenance
from lairchat.storage import backup
from tests.blackbox.daemon import DaemonTest, awaited, lairctl, lairctl_beside
from tests.storage.support import ballast

pytestmark = pytest.mark.blackbox


class Operated(DaemonTest):
    timeout = 240

    def told(self, *words: str, status: int = 0, data: Path | None = None) -> str:
        """Run lairctl and return what it says, on the stream that belongs to the status."""
        ran = lairctl(self.server, *words, data=data)
        assert ran.returncode == status, (words, ran.returncode, ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stderr
        return ran.stderr if status else ran.stdout

    async def beside(self, *words: str, status: int = 0) -> str:
        """Do the same while this process goes on."""
        ran = await lairctl_beside(self.server, *words)
        assert ran.returncode == status, (words, ran.returncode, ran.stdout, ran.stderr)
        return ran.stderr if status else ran.stdout


class Large(Operated):
    """A database so large that to copy or check it takes longer than a stop may."""

    autostart = False

    def setUp(self) -> None:
        super().setUp()
        self.server.start()
        self.server.stop()
        ballast(self.server.data / "lair.db", 1_000_000)
        self.server.start()

    async def stopped(self, *words: str, when: Callable[[], object]) -> None:
        """Stop the server in the midst of a command: in time, and the operator is told."""
        waiting = Deferred.fromCoroutine(self.beside(*words, status=1))
        for _ in range(2_000):
            if waiting.called or when():
                break
            await deferLater(reactor, 0.005)
        assert not waiting.called, f"{words} was over before the server was to stop"
        began = time.monotonic()
        assert await deferToThread(self.server.stop) == -signal.SIGTERM
        assert time.monotonic() - began < limits.STOP_SECONDS
        assert "LC-SHUTDOWN" in await waiting, words

    @awaited
    async def test_a_stop_does_not_wait_for_a_check_or_for_half_a_backup(self) -> None:
        backups = self.server.data / "backups"
        await self.stopped(
            "backup", "create", "half", when=lambda: [*backups.glob(".half.partial/*")]
        )
        assert [*backups.iterdir()] == []
        self.server.start()
        await self.beside("backup", "create", "whole")
        for words in (("db", "check"), ("backup", "verify", "whole")):
            begun = time.monotonic()
            await self.stopped(*words, when=lambda begun=begun: time.monotonic() - begun > 1.0)
            self.server.start()
        assert backup.verify(backups / "whole") == []


class Words(Operated):
    @awaited
    async def test_a_schema_is_called_alike_wherever_it_is_shown(self) -> None:
        """By its number: with a daemon, without one, on the health page and at the first start."""
        shown = {re.findall(r"\(schema (.*)\)", self.printed())[0]}
        page = f"http://127.0.0.1:{self.server.door('http')}/health"
        health = await deferToThread(lambda: urllib.request.urlopen(page, timeout=9).read())
        shown.add(json.loads(health)["checks"]["migration"]["text"].removeprefix("schema "))
        await self.beside("backup", "create", "kept")
        running = ("server status", "db status", "backup verify kept")
        for words in running:
            shown.add(json.loads(await self.beside(*words.split(), "--json"))["schema"])
        self.server.stop()
        for words in running:
            shown.add(json.loads(self.told(*words.split(), "--json"))["schema"])
        shown |= {one["schema"] for one in json.loads(self.told("backup", "list", "--json"))}
        shown |= set(
            re.findall(
                r"schema (\S+?),", self.told("backup", "restore", "kept", "--replace", "--dry-run")
            )
        )
        with closing(sqlite3.connect(self.server.data / "lair.db")) as database:
            (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        assert shown == {revision[:4]}


class Backups(Operated):
    @awaited
    async def test_a_backup_under_full_load_is_a_moment_of_the_server(self) -> None:
        members = await self.friends("alice", "bob", "carol", "dave")
        going, confirmed, slowest = [True], [0], [0.0]

        async def write(member) -> None:
            while going[0]:
                began = time.monotonic()
                sents = await gatherResults(
                    [Deferred.fromCoroutine(member.say(1, "x" * 400)) for _ in range(24)]
                )
                confirmed[0] = max(confirmed[0], *(sent.seq for sent in sents))
                slowest[0] = max(slowest[0], time.monotonic() - began)

        writers = [Deferred.fromCoroutine(write(member)) for member in members]
        while confirmed[0] < 2_000:
            await deferLater(reactor, 0.02)
        bounds = []
        for number in range(3):
            before = confirmed[0]
            await self.beside("backup", "create", f"load{number}")
            bounds.append((before, confirmed[0]))
        going[0] = False
        await gatherResults(writers)
        assert slowest[0] < 2.0, slowest
        for number, (before, after) in enumerate(bounds):
            kept = self.server.data / "backups" / f"load{number}"
            assert backup.verify(kept) == []
            contents = backup.read_manifest(kept).contents
            seq, _ = contents.rooms["1"]
            # What was confirmed before it is in it; what came after it is not.
            assert before <= seq, (before, seq, after)
            assert contents.counts["log_events"] == sum(end for end, _ in contents.rooms.values())
        assert bounds[-1][1] > bounds[0][0], "nobody wrote meanwhile"
        digest = await self.restored_equal("load2")
        assert digest

    async def restored_equal(self, name: str) -> str:
        """Restore into an empty directory, start a server on it, and compare with the manifest."""
        kept = self.server.data / "backups" / name
        manifest = backup.read_manifest(kept)
        alice = self.members[0]
        log = [
            event for event in await alice.log(1) if event.seq <= manifest.contents.rooms["1"][0]
        ]
        identity = self.server.identity if hasattr(self.server, "identity") else alice.server
        self.server.stop()
        empty = self.directory / "elsewhere"
        said = json.loads(self.told("backup", "restore", str(kept), "--yes", "--json", data=empty))
        assert said["chain"] == manifest.contents.chain
        assert backup.contents_of(empty / "lair.db") == manifest.contents
        assert {"identity.pem", "lair.db"} <= {path.name for path in empty.iterdir()}
        assert "sound" in self.told("db", "check", data=empty)
        self.server.data = empty
        self.server.start()
        await alice.connect()
        assert alice.server == identity, "to its members it is another server"
        await alice.resume()
        again = await alice.log(1)
        assert [(e.seq, e.id, e.body) for e in again] == [(e.seq, e.id, e.body) for e in log]
        await alice.say(1, "life goes on")
        return manifest.contents.chain

    @awaited
    async def test_damaged_backups_are_found_and_never_put_back(self) -> None:
        alice = await self.owner()
        for number in range(50):
            await alice.say(1, f"{number} " + "x" * 300)
        await self.beside("backup", "create", "good")
        kept = self.server.data / "backups"

        def damage(name: str, change) -> None:
            shutil.copytree(kept / "good", kept / name)
            change(kept / name)

        def flip(path: Path, at: float) -> None:
            data = bytearray(path.read_bytes())
            data[int(len(data) * at)] ^= 0x40
            path.write_bytes(data)

        damage("byte", lambda path: flip(path / "database.sqlite", 0.6))
        damage("short", lambda path: (path / "database.sqlite").write_bytes(b"SQLite"))
        damage("gone", lambda path: (path / "database.sqlite").unlink())
        damage("manifest", lambda path: flip(path / "manifest.json", 0.5))
        damage("unsaid", lambda path: (path / "manifest.json").unlink())
        damage("stranger", lambda path: flip(path / "identity.pem", 0.5))
        names = ("byte", "short", "gone", "manifest", "unsaid", "stranger")
        for name in names:
            said = await self.beside("backup", "verify", name, status=1)
            assert said.startswith("LC-BACKUP-DAMAGED"), (name, said)
        assert "sound" in await self.beside("backup", "verify", "good")
        listed = json.loads(await self.beside("backup", "list", "--json"))
        assert {row["name"] for row in listed} == {"good", *names}
        said = await self.beside("backup", "verify", "none", status=3)
        assert said.startswith("LC-BACKUP-UNKNOWN")
        said = await self.beside("backup", "restore", "good", "--yes", status=1)
        assert said.startswith("LC-RESTORE-RUNNING")
        self.server.stop()
        database = self.server.data / "lair.db"
        before = database.read_bytes()
        for name in names:
            said = self.told("backup", "restore", name, "--replace", "--yes", status=1)
            assert said.startswith("LC-BACKUP-DAMAGED"), (name, said)
        assert database.read_bytes() == before
        said = self.told("backup", "restore", "good", "--yes", status=1)
        assert said.startswith("LC-RESTORE-OVER")
        self.told("backup", "restore", "good", "--replace", "--yes", "--dry-run")
        assert database.read_bytes() == before
        self.told("backup", "restore", "good", "--replace", "--yes")
        aside = self.server.data / "lair.db.replaced-1"
        assert aside.read_bytes() == before

    @awaited
    async def test_two_at_once_and_a_name_that_is_taken(self) -> None:
        await self.owner()
        both = await gatherResults(
            [Deferred.fromCoroutine(self.beside("backup", "create", "--json")) for _ in range(3)]
        )
        names = {json.loads(text)["name"] for text in both}
        assert len(names) == 3
        for name in names:
            assert backup.verify(self.server.data / "backups" / name) == []
        await self.beside("backup", "create", "mine")
        said = await self.beside("backup", "create", "mine", status=1)
        assert said.startswith("LC-BACKUP-EXISTS")
        for name in ("../mine", ".hidden", "-x.y/z", "a" * 81):
            assert "LC-BACKUP-NAME" in await self.beside("backup", "create", name, status=1)
        elsewhere = self.directory / "elsewhere"
        await self.beside("backup", "create", str(elsewhere))
        assert backup.verify(elsewhere) == []

    @awaited
    async def test_a_downgrade_is_refused_with_the_command_that_leads_back(self) -> None:
        alice = await self.owner()
        sent = await alice.say(1, "before the upgrade")
        await self.beside("backup", "create", "before")
        self.server.stop()
        with closing(sqlite3.connect(self.server.data / "lair.db")) as later:
            later.execute("UPDATE alembic_version SET version_num = '9999_later'")
            later.commit()
        with self.assertRaises(ServerFailedError) as caught:
            self.server.start()
        said = str(caught.exception)
        assert "LC-START-SCHEMA" in said
        command = "backup restore before --replace"
        assert f"lairctl {command}" in said, said
        assert "LC-START-SCHEMA" in self.told("db", "status", status=1)
        self.told(*command.split(), "--yes")
        self.server.output.unlink()
        self.server.start()
        await alice.connect()
        await alice.resume()
        assert sent.seq in {event.seq for event in await alice.log(1)}


class WithoutDaemon(Operated):
    @awaited
    async def test_reads_and_repairs_after_a_daemon_was_killed(self) -> None:
        alice = await self.owner()
        sents = [await alice.say(1, f"{number} " + "x" * 900) for number in range(100)]
        self.server.kill()
        assert (self.server.data / "lair.db-wal").stat().st_size, "nothing to recover"
        status = self.told("server", "status", "--json")
        assert json.loads(status)["state"] == "offline"
        assert json.loads(status)["accounts"] == 1
        assert "sound" in self.told("db", "check")
        found = json.loads(self.told("db", "status", "--json"))
        assert found["events"] >= sents[-1].seq
        assert "vacuumed" in self.told("db", "vacuum", "--yes")
        self.told("backup", "create", "after")
        assert "sound" in self.told("backup", "verify", "after")
        assert "localhost" in self.told("cert", "show")
        assert "renewed" not in self.told("cert", "renew")
        assert "tcp:" in self.told("config", "show", "listen")
        for words in (
            ("stats", "show"),
            ("config", "reload"),
            ("log", "level", "warn"),
            ("server", "broadcast", "hello"),
            ("server", "maintenance", "on", "--yes"),
            ("server", "shutdown", "--yes"),
        ):
            assert "LC-NO-DAEMON" in self.told(*words, status=1), words
        self.server.start()
        await alice.connect()
        await alice.resume()
        kept = {event.seq for event in await alice.log(1)}
        assert {sent.seq for sent in sents} <= kept

    @awaited
    async def test_nothing_is_made_where_no_server_is(self) -> None:
        nowhere = self.directory / "nowhere"
        said = self.told("db", "status", status=1, data=nowhere)
        assert said.startswith("LC-CTL-NONE")
        assert not nowhere.exists()
        assert "limits" in self.told("config", "show", data=nowhere)
        assert "NAME" not in self.told("backup", "list", data=nowhere)
        assert not nowhere.exists()
        await deferLater(reactor, 0)

    @awaited
    async def test_the_lock_is_respected(self) -> None:
        """A daemon whose socket has gone still has the directory."""
        (self.server.data / "control").unlink()
        assert "LC-START-LOCK" in self.told("db", "vacuum", "--yes", status=1)
        await deferLater(reactor, 0)


class Server(Operated):
    def ready(self) -> int:
        """Return what a load balancer is told."""
        url = f"http://127.0.0.1:{self.server.door('http')}/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @awaited
    async def test_maintenance_closes_the_chat_and_opens_it_again(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        before = await alice.say(1, "before")
        said = await self.beside("server", "maintenance", "on", "--reason", "a new disk", "--yes")
        assert "2 connections ended" in said
        for member in (alice, bob):
            for _ in range(100):
                if member.connection._reason is not None:
                    break
                await deferLater(reactor, 0.02)
            assert member.connection._reason.code == "LC-MAINTENANCE"
            assert "a new disk" in member.connection._reason.text
        await alice.connect()
        with self.assertRaises(Maintenance):
            await alice.resume()
        assert json.loads(await self.beside("server", "status", "--json"))["state"] == "maintenance"
        assert await deferToThread(self.ready) == 503
        assert "the chat is open" in await self.beside("server", "maintenance", "off")
        for _ in range(100):
            if await deferToThread(self.ready) == 200:
                break
            await deferLater(reactor, 0.1)
        assert await deferToThread(self.ready) == 200
        await alice.resume()
        assert before.seq in {event.seq for event in await alice.log(1)}

    @awaited
    async def test_a_broadcast_reaches_everybody(self) -> None:
        alice, bob = await self.friends("alice", "bob")
        heard: list[tuple[str, str]] = []
        for member in (alice, bob):
            known = member.connection._on_event

            def listen(name, body, known=known) -> None:
                heard.append((name, getattr(body, "text", "")))
                known(name, body)

            member.connection._on_event = listen
        said = await self.beside("server", "broadcast", "backup", "at\x1b[2J", "noon")
        assert "told 2 people" in said
        for _ in range(100):
            if len([one for one in heard if one[0] == "server.notice"]) == 2:
                break
            await deferLater(reactor, 0.02)
        texts = {text for name, text in heard if name == "server.notice"}
        assert len(texts) == 1
        assert "\x1b" not in texts.pop()
        assert "LC-TEXT-EMPTY" in await self.beside("server", "broadcast", " ", status=1)

    @awaited
    async def test_shutdown_tells_everybody_and_loses_nothing(self) -> None:
        alice = await self.owner()
        await self.beside("server", "shutdown", "--in", "1h", "--yes")
        status = json.loads(await self.beside("server", "status", "--json"))
        assert "stops in" in status["notice"]
        assert "goes on" in await self.beside("server", "shutdown", "--cancel")
        sent = await alice.say(1, "the last word")
        process = self.server.process
        await self.beside("server", "shutdown", "--reason", "moving", "--yes")
        began = time.monotonic()
        while process.poll() is None:
            assert time.monotonic() - began < 6
            await deferLater(reactor, 0.05)
        assert process.returncode == 0
        assert alice.connection._reason.code == "LC-SHUTDOWN"
        self.server.process = None
        self.server.start()
        await alice.connect()
        await alice.resume()
        assert sent.seq in {event.seq for event in await alice.log(1)}

    @awaited
    async def test_the_log_is_read_and_its_level_changed(self) -> None:
        await self.owner()
        await self.beside("log", "level", "error")
        await self.beside("cert", "renew")
        lines = json.loads(await self.beside("log", "tail", "--lines", "200", "--json"))
        assert lines
        numbers = [line["number"] for line in lines]
        assert numbers == sorted(numbers)
        assert not any("certificate reloaded" in line["text"] for line in lines)
        # What operators do is logged at every level.
        assert any("cert renew" in line["text"] for line in lines)
        await self.beside("log", "level", "info")
        await self.beside("cert", "renew")
        lines = json.loads(await self.beside("log", "tail", "--json"))
        assert any("certificate reloaded" in line["text"] for line in lines)
        assert json.loads(await self.beside("log", "tail", "--level", "error", "--json")) == []
