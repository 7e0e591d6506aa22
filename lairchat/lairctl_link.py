"""lairctl's end of the daemon's Unix socket (see operator/control.py)."""

import errno
import os
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from lairchat.model import faults
from lairchat.operator import control

__all__ = ["Daemon", "NotRunningError"]

_CHUNK = 65_536
_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR})
_CLOSED = frozenset({errno.EACCES, errno.EPERM})


class NotRunningError(Exception):
    """No daemon listens on this socket."""


class Daemon:
    """A connection to the daemon.

    path: its socket.
    Raises NotRunningError where nobody listens, ControlDenied where others may not ask.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect()
            # Whom the kernel's word does not let in is told so in place of a greeting.
            if not isinstance(self.receive(), control.Hello):
                raise faults.ControlDenied(path=self._path)
        except BaseException:  # Ctrl-C while it waits, too: the socket is nobody's then
            self._socket.close()
            raise

    def _connect(self) -> None:
        directory = -1
        try:
            name, directory = control.short_name(self._path)
            self._socket.connect(name)
        except OSError as error:
            if error.errno in _NOBODY:
                raise NotRunningError from None
            if error.errno in _CLOSED:
                raise faults.ControlDenied(path=self._path) from None
            why = (error.strerror or str(error)).lower()
            raise faults.ControlLost(path=self._path, why=why) from None
        finally:
            if directory >= 0:
                os.close(directory)

    def __enter__(self) -> Self:
        """Close the connection at the end."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._socket.fileno()

    # -- messages

    def send(self, message: control.FromCaller) -> None:
        """Send a message; raises ControlText for a word that cannot be written down."""
        try:
            data = control.encode(message)
        except UnicodeEncodeError as error:
            raise faults.ControlText(word=error.object) from None
        try:
            self._socket.sendall(data)
        except OSError as error:
            # It may have said why before it went.
            if not self._pending(0):
                raise self._lost(error) from None

    def receive(self) -> control.Daemon:
        """Return the next message; raises ControlLost where the conversation has ended."""
        while b"\n" not in self._buffer:
            self._fill()
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        try:
            return control.decode_daemon(line)
        except ValueError:
            raise faults.ControlLost(path=self._path, why="it speaks another language") from None

    def ready(self, seconds: float, *others: int) -> list[int]:
        """Wait for a message or for other descriptors; returns those that have something."""
        if b"\n" in self._buffer:
            return [self.fileno()]
        return select.select([self.fileno(), *others], [], [], seconds)[0]

    def _pending(self, seconds: float) -> bool:
        return self.fileno() in self.ready(seconds)

    def _fill(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            raise self._lost(error) from None
        if not data:
            raise faults.ControlLost(path=self._path, why="it is gone")
        self._buffer += data

    def _lost(self, error: OSError) -> faults.ControlLost:
        return faults.ControlLost(path=self._path, why=(error.strerror or str(error)).lower())

    def complete(self, line: str, cursor: int) -> control.Offer:
        """Return what the word before the cursor could become."""
        self.send(control.Complete(line, cursor))
        answer = self.receive()
        return answer if isinstance(answer, control.Offer) else control.Offer(cursor, [])
