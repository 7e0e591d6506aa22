"""Files that hold secrets: written whole or not at all, readable by their owner alone.

Promises not to know: what is in them.
"""

import os
import stat
import tempfile
from pathlib import Path

KEY_FILE_BYTES = 256 * 1024
"""bytes: largest key file that is read; a wrong path must not fill memory."""


class TooOpenError(Exception):
    """A key file may be read by people who must not have it; ``mode`` is its permission bits."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(str(path), oct(mode))
        self.path = path
        self.mode = mode

    @property
    def why(self) -> str:
        """What is wrong, for the refusal that says so."""
        return f"others may read it (mode {self.mode:o}, should be 600)"


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file of mode 0600 so that a crash leaves the old one, the new one, or none.

    replace: False refuses to touch a file that exists, even one that appears meanwhile.
    Raises FileExistsError then, and OSError for what the file system refuses.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(name).replace(path)
        else:
            # link() fails when the name is taken: two first starts cannot overwrite each other.
            path.hardlink_to(name)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_directory(path.parent)


def read_private(path: Path, *, forbidden: int = 0o077) -> bytes:
    """Read a file that holds a secret, at most :data:`KEY_FILE_BYTES`.

    forbidden: permission bits that make it unusable; a key that others could read is no secret,
    and saying so at once is kinder than serving with it.
    Raises :class:`TooOpenError`, and OSError when it cannot be read.
    """
    # Non-blocking, so that a named pipe in its place is refused below instead of waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        # Of the open file, not of its name: the name could be swapped between check and read.
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if status.st_mode & forbidden:
            raise TooOpenError(path, stat.S_IMODE(status.st_mode))
        return file.read(KEY_FILE_BYTES)


def _sync_directory(directory: Path) -> None:
    """Make a rename or a new name in this directory survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
