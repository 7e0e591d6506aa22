"""Makes files and names survive a power failure: written, synced, renamed, directory synced."""

import os
from pathlib import Path

PRIVATE = 0o600
"""mode: databases and backups are for their owner alone."""


def sync_file(path: Path) -> None:
    """Wait until the contents of a file are on disk."""
    _sync(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Wait until names made, renamed or removed in a directory are on disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may read; raises FileExistsError if it is there."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))


def put_in_place(finished: Path, name: Path) -> None:
    """Give a finished file or directory its final name, so that a crash leaves the old or the new."""
    finished.rename(name)
    sync_directory(name.parent)
