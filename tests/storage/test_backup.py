"""Backups: online, proven, put back; damage is found (issue 2, "Storage")."""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lairchat.storage import backup, check, log, migrate
from tests.storage.support import DatabaseCase, Inline, entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with three rooms of 20 events, one purged."""
    made = tmp_path / "lair.db"
    inline = Inline(f"sqlite:///{made}")

    def fill(connection: Any) -> None:
        for room in (1, 2, 3):
            log.create_head(connection, room)
            log.append(connection, [entry(room, number) for number in range(20)])
        log.purge(connection, 2, [5])

    inline.write(fill)
    inline.close()
    return made


@pytest.fixture
def kept(path: Path) -> Path:
    """A backup of it."""
    backup.create(path, path.with_name("kept"), now=1_700_000_000_000)
    return path.with_name("kept")


def test_a_backup_says_what_it_holds(path: Path, kept: Path) -> None:
    manifest = backup.read_manifest(kept)
    assert manifest.created == 1_700_000_000_000
    assert manifest.size == (kept / backup.DATABASE).stat().st_size
    contents = manifest.contents
    assert contents.schema == migrate.revisions()[-1]
    assert contents.counts["log_events"] == 60
    assert contents.rooms.keys() == {"1", "2", "3"}
    inline = Inline(f"sqlite:///{path}")
    heads = inline.read(lambda connection: log.heads(connection, [1, 2, 3]))
    inline.close()
    for room, end in heads.items():
        assert contents.rooms[str(room)] == (end.seq, end.hash.hex())
    assert backup.verify(kept) == []


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which the name of whatever is synced will be appended."""
    names: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_backup_is_on_the_disk_before_it_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = synced(monkeypatch)
    backup.create(path, path.with_name("kept"), now=0)
    assert names == [backup.DATABASE, backup.MANIFEST, ".kept.partial", path.parent.name]


def test_what_is_restored_is_on_the_disk_before_it_has_its_name(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = synced(monkeypatch)
    backup.restore(kept, kept.with_name("restored.db"))
    assert names == [".restored.db.restoring", kept.parent.name]


def test_only_its_owner_may_read_it(kept: Path) -> None:
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    for name in (backup.DATABASE, backup.MANIFEST):
        assert stat.S_IMODE((kept / name).stat().st_mode) == 0o600
    assert {found.name for found in kept.iterdir()} == {backup.DATABASE, backup.MANIFEST}


def test_restored_it_is_the_same_database(path: Path, kept: Path) -> None:
    restored = path.with_name("elsewhere") / "lair.db"
    restored.parent.mkdir()
    manifest = backup.restore(kept, restored).manifest
    assert backup.contents_of(restored) == manifest.contents
    assert stat.S_IMODE(restored.stat().st_mode) == 0o600
    assert check.check(restored) == []
    inline = Inline(f"sqlite:///{restored}")
    inline.write(lambda connection: log.append(connection, [entry(1, 99)]))
    inline.close()
    assert {found.name for found in restored.parent.iterdir()} == {"lair.db"}


def test_nothing_is_written_over(path: Path, kept: Path) -> None:
    with pytest.raises(backup.BackupError, match="exists"):
        backup.create(path, kept, now=0)
    before = path.read_bytes()
    with pytest.raises(backup.BackupError, match="is there"):
        backup.restore(kept, path)
    assert path.read_bytes() == before
    path.unlink()
    leftover = path.with_name("lair.db-wal")
    leftover.write_bytes(b"acknowledged")
    with pytest.raises(backup.BackupError, match="-wal is there"):
        backup.restore(kept, path)
    assert not path.exists()
    leftover.unlink()
    path.touch()  # empty: nothing to lose
    backup.restore(kept, path)
    assert check.check(path) == []


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)


def edit(change: Callable[[Any], object], *, seal: bool = False) -> Callable[[Path], None]:
    def damage(kept: Path) -> None:
        stated = json.loads((kept / backup.MANIFEST).read_text())
        change(stated)
        if seal:
            del stated["seal"]
            stated["seal"] = backup._seal(stated)
        (kept / backup.MANIFEST).write_text(json.dumps(stated))

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of the database": (lambda kept: flip(kept / backup.DATABASE, 20_000), "SHA-256"),
    "the end of the database": (
        lambda kept: (kept / backup.DATABASE).write_bytes(
            (kept / backup.DATABASE).read_bytes()[:-1]
        ),
        "bytes",
    ),
    "no database": (lambda kept: (kept / backup.DATABASE).unlink(), "cannot be read"),
    "no manifest": (lambda kept: (kept / backup.MANIFEST).unlink(), "cannot be read"),
    "an empty manifest": (lambda kept: (kept / backup.MANIFEST).write_text(""), "not a manifest"),
    "another manifest": (lambda kept: (kept / backup.MANIFEST).write_text("[1]"), "not a manifest"),
    "deep nonsense": (
        lambda kept: (kept / backup.MANIFEST).write_text("[" * 100_000),
        "not a manifest",
    ),
    "a manifest without its seal": (edit(lambda stated: stated.pop("seal")), "not a manifest"),
    "an edited manifest": (edit(lambda stated: stated.update(created=5)), "damaged"),
    "a later format": (edit(lambda stated: stated.update(format=2), seal=True), "format 2"),
    "a manifest of something else": (
        edit(lambda stated: stated["contents"]["counts"].update(log_events=61), seal=True),
        "does not hold",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_not_restored(kept: Path, name: str) -> None:
    damage, sentence = DAMAGES[name]
    damage(kept)
    (found,) = backup.verify(kept)
    assert sentence in found
    target = kept.with_name("restored.db")
    with pytest.raises(backup.BackupError):
        backup.restore(kept, target)
    assert not target.exists()
    assert not list(target.parent.glob(".*"))


def test_every_flipped_bit_is_found(kept: Path) -> None:
    size = (kept / backup.DATABASE).stat().st_size
    whole = (kept / backup.DATABASE).read_bytes()
    for place in range(0, size, size // 50):
        flip(kept / backup.DATABASE, place)
        assert backup.verify(kept), place
        (kept / backup.DATABASE).write_bytes(whole)
    size = (kept / backup.MANIFEST).stat().st_size
    whole = (kept / backup.MANIFEST).read_bytes()
    for place in range(0, size - 1, 7):
        flip(kept / backup.MANIFEST, place)
        if (kept / backup.MANIFEST).read_bytes().split() != whole.split():
            assert backup.verify(kept), place
        (kept / backup.MANIFEST).write_bytes(whole)
    assert backup.verify(kept) == []


def test_damage_that_was_backed_up_is_found_too(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE log_events SET body = x'00' WHERE room = 3 AND seq = 7")
    connection.commit()
    connection.close()
    backup.create(path, path.with_name("kept"), now=0)
    assert backup.verify(path.with_name("kept")) == [
        "room 3: the log is not what was stored, from event 7"
    ]


def test_what_cannot_be_backed_up(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but longer than a header would be" * 20)
    sqlite3.connect(tmp_path / "foreign.db").execute("CREATE TABLE thing (id)")
    for name in ("text", "foreign.db", "none"):
        with pytest.raises(backup.BackupError, match="cannot be backed up"):
            backup.create(tmp_path / name, tmp_path / "kept", now=0)
    migrate.prepare(tmp_path / "empty.db")
    connection = sqlite3.connect(tmp_path / "empty.db")
    connection.execute("DELETE FROM alembic_version")
    connection.commit()
    connection.close()
    with pytest.raises(backup.BackupError, match="cannot be backed up"):
        backup.create(tmp_path / "empty.db", tmp_path / "kept", now=0)
    assert not (tmp_path / "kept").exists()
    assert not list(tmp_path.glob(".kept*"))


def test_a_crash_while_the_old_database_is_moved_loses_nothing_of_it(
    path: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = tmp_path / "died" / "lair.db"
    died.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:  # of a server that was killed
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE late (x)")
        connection.execute("INSERT INTO late VALUES (7)")
        connection.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", f"{died}{end}")
    rename = Path.rename
    renamed: list[str] = []

    def crash(source: Path, target: str) -> Path:
        if renamed:
            raise OSError("the power fails here")
        renamed.append(target)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", crash)
    with contextlib.suppress(OSError):
        backup.restore(kept, died, replace=True)
    (found,) = [one for one in (died, died.with_name("lair.db.replaced-1")) if holds_seven(one)]
    assert found.name == "lair.db.replaced-1"


def holds_seven(path: Path) -> bool:
    """Tell whether this is the database with its last row."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(path)) as connection,
    ):
        return connection.execute("SELECT x FROM late").fetchall() == [(7,)]
    return False


def test_a_backup_that_was_killed_is_not_in_the_way(path: Path) -> None:
    partial = path.with_name(".kept.partial")
    partial.mkdir()
    (partial / backup.DATABASE).write_bytes(b"half")
    backup.create(path, path.with_name("kept"), now=0)
    assert backup.verify(path.with_name("kept")) == []
    assert not partial.exists()


def test_a_backup_that_changes_while_it_is_read(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copyfile = shutil.copyfile

    def copy_and_lose_a_bit(source: Path, target: Path) -> None:
        copyfile(source, target)
        flip(target, 20_000)

    monkeypatch.setattr(shutil, "copyfile", copy_and_lose_a_bit)
    target = kept.with_name("restored.db")
    with pytest.raises(backup.BackupError, match="disk is failing"):
        backup.restore(kept, target)
    assert not target.exists()


class OnlineBackupTest(DatabaseCase):
    async def test_a_database_under_load_is_backed_up_soundly(self) -> None:
        database = self.open()
        rooms = range(1, 9)
        await database.call(
            lambda connection: [log.create_head(connection, r) for r in rooms] and None
        )
        sent = 0
        stop = False

        def send(_result: object = None, error: BaseException | None = None) -> None:
            nonlocal sent
            self.assertIsNone(error)
            if not stop:
                sent += 1
                entries = [entry(room, sent) for room in rooms]
                database.submit(lambda connection: log.append(connection, entries), send)

        for _ in range(20):
            send()
        before = -1
        for number in range(4):
            destination = self.directory / f"kept{number}"
            # On a reader's thread, as a daemon would: the load goes on beside it.
            manifest = await database._reading.hop(
                lambda connection, to=destination: backup.create(self.path, to, now=0)
            )
            assert backup.verify(destination) == []
            assert len({seq for seq, _ in manifest.contents.rooms.values()}) == 1
            events = manifest.contents.counts["log_events"]
            assert events > before
            before = events
        stop = True
        await database.writer.drain()
        assert sent * 8 > before
