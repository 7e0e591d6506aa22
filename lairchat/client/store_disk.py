"""Files that are their owner's alone, and that a power failure leaves old or new, never half."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lairchat.model.faults import ProfileDisk, ProfileFull

STORE: Final = "store.db"
"""The name of a profile's store."""
VAULT: Final = "store.key"
"""The name of what holds its key."""

_PRIVATE: Final = 0o600
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def explained_disk(path: Path) -> Iterator[None]:
    """Turn the system's errors into refusals that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ProfileFull(path=path) from error
        raise ProfileDisk(path=path, why=error.strerror or str(error)) from error


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may read; raises FileExistsError if it is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(path, flags, _PRIVATE))


def make_private(path: Path) -> None:
    """Take from others what they may do with a file if it is there, as after a copy by other hands."""
    with suppress(FileNotFoundError):
        path.chmod(_PRIVATE)


def sync_file(path: Path) -> None:
    """Wait until the contents of a file are on disk."""
    _sync(path, os.O_RDONLY)


def put_in_place(finished: Path, name: Path) -> None:
    """Give a synced file its final name, durably."""
    finished.replace(name)
    _sync(name.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
