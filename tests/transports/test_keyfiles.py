"""Key files: whole or not at all, and for their owner alone."""

import os
import stat
from pathlib import Path

import pytest

from lairchat.transports import keyfiles
from lairchat.transports.keyfiles import TooOpenError, read_private, write_private


def test_written_for_the_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "key", b"secret", replace=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert read_private(tmp_path / "key") == b"secret"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"old", replace=False)
    with pytest.raises(FileExistsError):
        write_private(path, b"new", replace=False)
    assert path.read_bytes() == b"old"
    write_private(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "key"
    write_private(path, b"old", replace=False)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, b"new", replace=True)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_file_and_then_its_name_are_synced(tmp_path: Path, monkeypatch) -> None:
    """An identity that a power failure takes is another server to everybody."""
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_private(tmp_path / "key", b"secret", replace=False)
    file, directory = synced
    assert file.startswith(".key.")
    assert directory == tmp_path.name


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(TooOpenError) as refused:
        read_private(path)
    assert (refused.value.path, refused.value.mode) == (path, mode)
    assert b"secret" not in str(refused.value).encode()


def test_which_bits_are_forbidden_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret")
    path.chmod(0o640)
    assert read_private(path, forbidden=0o007) == b"secret"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(OSError, match="not a regular file"):
        read_private(tmp_path / "pipe")


def test_a_huge_file_does_not_fill_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(keyfiles, "KEY_FILE_BYTES", 100)
    path = tmp_path / "key"
    path.write_bytes(bytes(10_000))
    path.chmod(0o600)
    assert len(read_private(path)) == 100
