"""A disk that is full, read-only or damaged: a clear code, recovery, nothing acknowledged lost."""

import contextlib
import shutil
import subprocess

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from lairchat.demo_check import Member
from lairchat.demo_server import DemoServer, ServerFailedError
from lairchat.features.messages import messages as wire
from lairchat.model.refusals import StoreFull
from tests.blackbox.daemon import DaemonTest, awaited, lairctl
from tests.requirements import require

pytestmark = pytest.mark.blackbox


class SmallDisk(DaemonTest):
    """A server whose data directory is a file system of sixteen megabytes."""

    autostart = False

    def setUp(self) -> None:
        require("root", "mounts")
        super().setUp()
        disk = self.directory / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        self.addCleanup(self.server.stop)  # before the disk goes
        self.disk = disk
        self.server.data = disk / "data"
        self.server.start()

    async def texts(self, member: Member) -> dict[int, str]:
        """Return what the log holds, by sequence."""
        from lairchat.client import catalog

        found = {}
        for event in await member.log(1):
            body = catalog.body_of(event)
            if isinstance(body, wire.Text):
                found[event.seq] = body.text
        return found

    @awaited
    async def test_a_full_disk_refuses_and_recovers(self) -> None:
        alice = await self.owner()
        kept: dict[int, str] = {}
        first = await alice.say(1, "before")
        kept[first.seq] = "before"
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        refused = 0
        for number in range(200):
            text = f"{number} " + "x" * 3_000
            try:
                sent = await alice.say(1, text)
            except StoreFull:
                refused += 1
                if refused == 3:
                    break
            else:
                kept[sent.seq] = text
        assert refused == 3
        filler.unlink()
        again = await alice.say(1, "space again")
        kept[again.seq] = "space again"
        assert await self.texts(alice) == kept
        self.server.kill()
        self.server.start()
        await alice.connect()
        await alice.resume()
        assert await self.texts(alice) == kept

    @awaited
    async def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing_half_made(self) -> None:
        self.server.stop()
        shutil.rmtree(self.server.data)
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with self.assertRaises(ServerFailedError) as caught:
            self.server.start()
        assert "LC-START-DISK" in str(caught.exception), caught.exception
        assert "Traceback" not in str(caught.exception)
        filler.unlink()
        self.server.start()
        await self.owner()

    @awaited
    async def test_a_read_only_disk_is_refused_at_the_start_and_keeps_everything(self) -> None:
        alice = await self.owner()
        sent = await alice.say(1, "before")
        self.server.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        with self.assertRaises(ServerFailedError) as caught:
            self.server.start()
        assert "LC-START-PERM" in str(caught.exception), caught.exception
        assert "Traceback" not in str(caught.exception)
        subprocess.run(["mount", "-o", "remount,rw", self.disk], check=True)
        self.server.start()
        await alice.connect()
        await alice.resume()
        assert (await self.texts(alice))[sent.seq] == "before"


class DamagedFile(DaemonTest):
    """Files that are not what the server left."""

    @awaited
    async def test_a_foreign_file_is_refused_with_a_code(self) -> None:
        await self.owner()
        self.server.stop()
        database = self.server.data / "lair.db"
        database.write_bytes(b"this was never a database" * 400)
        with self.assertRaises(ServerFailedError) as caught:
            self.server.start()
        assert "LC-START-BROKEN" in str(caught.exception), caught.exception
        assert "Traceback" not in str(caught.exception)

    @awaited
    async def test_a_damaged_page_is_never_served_as_if_it_were_sound(self) -> None:
        alice = await self.owner()
        for number in range(200):
            await alice.say(1, f"{number} " + "x" * 500)
        self.server.stop()
        database = self.server.data / "lair.db"
        whole = bytearray(database.read_bytes())
        middle = len(whole) // 2
        whole[middle : middle + 4096] = b"\xff" * 4096
        database.write_bytes(whole)
        result = lairctl(self.server, "db", "check")
        assert result.returncode == 1, result.stdout
        assert "LC-DB-DAMAGED" in result.stderr, result.stderr
        assert "Traceback" not in result.stderr, result.stderr
        listed = lairctl(self.server, "db", "check", "--list")
        assert listed.returncode == 0, listed.stderr
        assert "PROBLEM" in listed.stdout, listed.stdout


class SecondDaemon(DaemonTest):
    """Two daemons that want the same."""

    @awaited
    async def test_the_same_directory_twice_is_refused(self) -> None:
        second = DemoServer(self.directory / "second_home")  # its own port
        second.data = self.server.data
        with self.assertRaises(ServerFailedError) as caught:
            second.start()
        assert "LC-START-LOCK" in str(caught.exception)
        assert str(self.server.pid) in str(caught.exception)
        await deferLater(reactor, 0)

    @awaited
    async def test_a_taken_port_is_refused(self) -> None:
        second = DemoServer(self.directory / "third", port=self.server.port)
        with self.assertRaises(ServerFailedError) as caught:
            second.start()
        assert "LC-START-PORT" in str(caught.exception)
        assert "Traceback" not in str(caught.exception)
