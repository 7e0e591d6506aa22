"""Lets work that takes as long as the database is large be given up when the server stops.

Copies, checks and digests run beside the reactor, on threads that the process waits for at its end.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Halted(Exception):  # noqa: N818 - nothing went wrong
    """The work was given up; what it had begun is cleared away."""


class Halt:
    """What such work asks whether it is to go on; one for all of it."""

    def __init__(self) -> None:
        self._over = False
        self._running: set[sqlite3.Connection] = set()
        self._lock = threading.Lock()

    def give_up(self) -> None:
        """End what runs, and what still comes.

        To be repeated while something runs: SQLite interrupts the statement of this moment, and
        not the one that follows it.
        """
        self._over = True
        with self._lock:
            for connection in self._running:
                connection.interrupt()

    def check(self) -> None:
        """Raise Halted if the work is to be given up; for between two steps."""
        if self._over:
            raise Halted

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Let statements on a connection be interrupted; an error is Halted if they were."""
        with self._lock:
            self._running.add(connection)
        try:
            self.check()
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._running.discard(connection)


NEVER = Halt()
"""For work that nobody stops."""
