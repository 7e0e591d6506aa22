"""Nothing acknowledged is lost: kill -9, a full disk, a disk that comes back (decision 2)."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from lairchat.model.refusals import StoreFull
from lairchat.storage import log
from lairchat.storage.check import check
from lairchat.storage.database import Database
from tests.storage import crashing
from tests.storage.support import DatabaseCase, Inline, entry

PROJECT = Path(__file__).parents[2]


def killed_while_sending(path: Path, number: int, lines: int) -> list[list[int]]:
    """Start the program, kill it when it has acknowledged so many, and return all that it did."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    program = subprocess.Popen(
        [sys.executable, crashing.__file__, str(path), str(number)],
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert program.stdout is not None
    with program.stdout:
        read = b""
        while read.count(b"\n") < lines:
            part = os.read(program.stdout.fileno(), 65_536)
            assert part, "the program ended by itself"
            read += part
        program.kill()
        read += program.stdout.read()  # what it had acknowledged before it died
    program.wait()
    # A last line that was cut off was not acknowledged to anybody.
    return [[int(word) for word in line.split()] for line in read.split(b"\n")[:-1]]


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "lair.db"
    acknowledged: dict[tuple[int, int], int] = {}
    chance = random.Random(2)
    for number in range(20):
        for room, seq, identifier in killed_while_sending(path, number, chance.randrange(1, 1_500)):
            assert (room, seq) not in acknowledged  # no number was given twice
            acknowledged[room, seq] = identifier
        if number % 5 == 4:
            assert check(path) == []
    inline = Inline(f"sqlite:///{path}")
    stored: dict[tuple[int, int], int] = {}
    for room in inline.read(log.rooms):
        events = inline.read(
            lambda connection, room=room: log.page(connection, room, after=0, limit=10**6)
        )
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        for event in events:
            assert event.body == b"%d " % int.from_bytes(event.id) * 20
            stored[room, event.seq] = int.from_bytes(event.id)
    assert acknowledged.items() <= stored.items()
    assert len(set(stored.values())) == len(stored)  # and nothing is there twice
    # What was stored and not acknowledged any more is answered when it is sent again.
    for (room, seq), identifier in list(stored.items())[:: len(stored) // 50]:
        key = (1, identifier.to_bytes(16))
        found = inline.read(lambda connection, key=key: log.find_answers(connection, [key]))
        assert (found[key].room, found[key].seq) == (room, seq)
    inline.close()


def with_faults(path: Path, number: int, fault: str) -> tuple[list[str], list[list[int]]]:
    """Run the program with a system call that fails; return what it said and acknowledged."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("a disk that fails is played by strace: apt install strace")
    found = subprocess.run(
        [
            *(strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"),
            *(sys.executable, crashing.__file__, str(path), str(number), "1500"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=120,
    )
    if "PTRACE" in found.stderr:
        pytest.skip("a disk that fails is played by strace, which may not trace here")
    lines = found.stdout.splitlines()
    return lines, [[int(word) for word in line.split()] for line in lines if line[0].isdigit()]


def stored_in(path: Path) -> set[tuple[int, int, int]]:
    assert check(path) == []
    inline = Inline(f"sqlite:///{path}")
    found = set()
    for room in inline.read(log.rooms):
        events = inline.read(
            lambda connection, room=room: log.page(connection, room, after=0, limit=10**6)
        )
        found |= {(room, event.seq, int.from_bytes(event.id)) for event in events}
    inline.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_disk_that_fails_once_is_never_trusted_again(tmp_path: Path, call: str) -> None:
    """security.md, fact 3 and goals: acknowledged implies durable, whichever call it is that fails.

    Only one call fails: those after it would succeed, and must not be believed.
    """
    path = tmp_path / "lair.db"
    acknowledged = set()
    for number, which in enumerate((9, 11, 14, 19, 25)):
        # The first ones belong to the start, which must not get that far and is proven elsewhere.
        when = which if call == "fdatasync" else which * 16
        lines, said = with_faults(path, number, f"{call}:error=EIO:when={when}")
        assert "gave up" in lines, lines[-5:]
        assert "LC-STORE-BROKEN" in lines
        after = lines[lines.index("LC-STORE-BROKEN") :]
        assert not [line for line in after if line[0].isdigit()]
        acknowledged |= {tuple(place) for place in said}
        assert acknowledged <= stored_in(path)


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lair.db"
    lines, said = with_faults(path, 0, "pwrite64:error=ENOSPC:when=150..190")
    assert "LC-STORE-FULL" in lines
    assert "gave up" not in lines
    assert len(said) >= 1_500
    assert {tuple(place) for place in said} == stored_in(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; mounting one is for root."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root and mount(8): run as root, or apt install mount")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class FullDiskTest(DatabaseCase):
    @pytest.fixture(autouse=True)
    def _use(self, small_disk: Path) -> None:
        self.small_disk = small_disk

    def setUp(self) -> None:
        super().setUp()
        self.path = self.small_disk / "lair.db"

    async def test_a_full_disk_refuses_and_takes_up_again_when_there_is_space(self) -> None:
        ballast = self.small_disk / "ballast"
        ballast.write_bytes(bytes(300_000))
        database = self.open()
        await database.call(lambda connection: log.create_head(connection, 1))
        fatal: list[Any] = []
        database.writer.on_fatal = fatal.append
        acknowledged, refused, number = [], 0, 0
        while refused < 5:
            number += 1
            try:
                (seq,) = await self.send(database, number)
            except StoreFull:
                refused += 1
            else:
                acknowledged.append(seq)
        assert len(acknowledged) > 5
        # Reading goes on.
        page = await database.read(lambda connection: log.page(connection, 1, limit=999))
        assert [event.seq for event in page] == acknowledged
        ballast.unlink()
        for number in range(1_000, 1_005):
            acknowledged += await self.send(database, number)
        assert acknowledged == list(range(1, len(acknowledged) + 1))
        assert fatal == []
        await database.close()
        assert check(self.path) == []

    def send(self, database: Database, number: int) -> "Deferred[list[int]]":
        event = entry(1, number, body=bytes(9_000))
        return database.call(lambda connection: log.append(connection, [event]))
