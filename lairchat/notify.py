"""Tells systemd how the daemon is: started, alive, stopping (sd_notify(3)).

Without ``NOTIFY_SOCKET`` in the environment, as everywhere but under systemd, nothing is said.
"""

import os
import socket
from collections.abc import Mapping

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


class Notifier:
    """The way to the service manager that started this process.

    interval: seconds after which to say that the process is alive, half of what systemd waits for;
    None when it does not watch.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self.interval = _interval(environ, os.getpid() if pid is None else pid)

    def tell(self, *states: str) -> None:
        """Send states; a manager that does not listen any more is no reason to fail."""
        if not self._path.startswith(("/", "@")):
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            try:
                way.connect(address)
                way.sendall("\n".join(states).encode())
            except OSError:
                return


def _interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Return half of the watchdog's time, if it watches this very process (sd_watchdog_enabled(3))."""
    watched = environ.get("WATCHDOG_PID")
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
        if watched is not None and int(watched) != pid:
            return None
    except ValueError:
        return None
    return microseconds / 2_000_000 if microseconds > 0 else None
