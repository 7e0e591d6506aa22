"""Moves what is in the write-ahead log into the database, away from the commits.

A commit that checkpoints is the p99 of large groups (facts.md), so no commit does.
When the log has grown by some 16 MiB, a passive checkpoint on a reader's thread copies it while the
writer goes on. What the writer appended meanwhile is copied by a second one on the writer's own
thread, between two groups: a few ms, because only that is left. Without it the log would never be
copied to its end under load, and grow for ever.
SQLite then starts the log anew in the same blocks of the file, which makes commits cheaper (87 us
instead of 147: no new block, no new file size); so the log is never truncated while in use.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.model.refusals import ShuttingDown
from lairchat.storage.alchimia_shim import Engine
from lairchat.storage.group import Outcome
from lairchat.storage.unavailable import StorageUnavailable, is_fatal, storage_unavailable

PAGES = 4_000
"""count: pages of 4 KiB, 16 MiB, by which the log grows before it is copied."""

_PAGE_BYTES = 4_096
_RATIO_MIN, _RATIO_MAX = 1 / 32, 4.0


class Pages(NamedTuple):
    """What a checkpoint came to. busy: somebody kept it from doing all that was asked."""

    busy: bool
    logged: int
    copied: int


class Checkpoints:
    """Decides when to checkpoint, and sees to it that there is one at a time.

    beside: an engine whose threads may be kept busy for some 10 ms.
    writer: the engine whose single thread runs the groups.
    broken: called when the disk or file cannot be trusted any more. A checkpoint whose fsync
    failed must not be tried again: the second one could succeed without the lost pages, and the
    log that still has them would be overwritten.
    """

    log = Logger()

    def __init__(
        self,
        beside: Engine,
        writer: Engine,
        *,
        broken: Callable[[StorageUnavailable], object],
        pages: int = PAGES,
    ) -> None:
        self.done = 0
        """How many were made because the log had grown."""
        self.log_pages = 0
        """How long the log was after the last one; SQLite starts it anew unless a reader uses it."""
        self._beside = beside
        self._writer = writer
        self._broken = broken
        self._pages = pages
        # SQLite refuses a second checkpoint at once, without waiting as for other locks.
        self._one = DeferredLock()
        # SQLite tells the log's length only when asked to checkpoint. Between two answers it is
        # guessed from what was written, and each answer corrects the guess.
        self._written = 0
        self._ratio = 1.0
        self._copied = 0

    def grown(self, outcome: Outcome, size: int) -> None:
        """Count what a group added to the log; the writer calls this after each."""
        self._written += 4 + outcome.rows + size // _PAGE_BYTES
        if self._written * self._ratio - self._copied >= self._pages and not self._one.locked:
            self._one.run(self._copy).addCallbacks(self._count, self._failed)

    def copy(self) -> "Deferred[Pages]":
        """Copy what is in the log now; fails with StorageUnavailable."""
        return self._one.run(self._copy)

    def empty(self) -> "Deferred[Pages]":
        """Copy the log and empty its file, between two groups; waits for readers; fails alike."""
        return self._one.run(self._empty)

    def _copy(self) -> "Deferred[Pages]":
        copied = self._beside.hop(checkpoint, "PASSIVE").addCallback(self._copy_rest)
        return copied.addErrback(self._judge)

    def _copy_rest(self, _pages: Pages) -> "Deferred[Pages]":
        return self._writer.hop(checkpoint, "PASSIVE").addCallback(self._note)

    def _empty(self) -> "Deferred[Pages]":
        emptied = self._writer.hop(checkpoint, "TRUNCATE").addCallback(self._note)
        return emptied.addErrback(self._judge)

    def _note(self, pages: Pages) -> Pages:
        self.log_pages, self._copied = pages.logged, pages.copied
        self._ratio = min(max(self.log_pages / max(self._written, 1), _RATIO_MIN), _RATIO_MAX)
        if self.log_pages == self._copied:
            self._written = self._copied = 0
        return pages

    def _count(self, _pages: Pages) -> None:
        self.done += 1

    def _judge(self, failure: Failure) -> Failure:
        self._written = self._copied = 0
        fault = storage_unavailable(failure.value)
        if fault is None:
            return failure
        if is_fatal(fault):
            self._broken(fault)
        return Failure(fault)

    def _failed(self, failure: Failure) -> None:
        if failure.check(ShuttingDown):
            return  # the close of the database runs the last one
        if isinstance(failure.value, StorageUnavailable):
            # Nothing is lost: the log keeps everything, and the next one tries again.
            self.log.warn("a checkpoint failed: {code}", code=failure.value.code)
        else:
            self.log.failure("a checkpoint failed", failure)


def checkpoint(connection: Connection, mode: str) -> Pages:
    """Run one checkpoint, PASSIVE or TRUNCATE."""
    driver: Any = connection.connection.dbapi_connection
    busy, logged, copied = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return Pages(bool(busy), logged, copied)
