"""Files and names that survive a power failure."""

import os
import stat
from pathlib import Path

import pytest

from lairchat.storage.durable import create_private, put_in_place, sync_directory, sync_file


def test_private_files_are_for_their_owner_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_private(tmp_path / "one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        create_private(tmp_path / "one")


def test_putting_in_place_syncs_the_directory_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watches the system calls: a rename that is not synced may be gone after a power failure."""
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    calls: list[str] = []
    rename, fsync = Path.rename, os.fsync
    monkeypatch.setattr(Path, "rename", lambda *names: (calls.append("rename"), rename(*names)))
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
    put_in_place(tmp_path / "new", tmp_path / "old")
    assert calls == ["rename", "fsync"]
    assert (tmp_path / "old").read_text() == "new"
    assert not (tmp_path / "new").exists()


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    for sync in (sync_file, sync_directory):
        with pytest.raises(FileNotFoundError):
            sync(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")


def open_files() -> list[str]:
    return sorted(link.name for link in Path("/proc/self/fd").iterdir())


def test_files_are_closed_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = open_files()
    sync_file(tmp_path / "file")
    sync_directory(tmp_path)
    assert open_files() == before
