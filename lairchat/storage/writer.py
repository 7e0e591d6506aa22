"""Commits what callers submit, in groups: whatever queued while the last group ran goes together.

No timer: a lonely unit starts at once, and under load the fsync paces the groups (architecture.md,
decision 2). Nothing here blocks or allocates a Deferred per unit; the only hop is one per group.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.model import limits
from lairchat.model.refusals import Refusal, ShuttingDown
from lairchat.storage.alchimia_shim import SHUTDOWN_RETRY_SECONDS, Engine
from lairchat.storage.group import Family, LateRefusalError, Outcome, Unit, run_group
from lairchat.storage.unavailable import StorageUnavailable, is_fatal


class Clock(Protocol):
    """What the writer wants of a reactor; ``task.Clock`` has it too."""

    def seconds(self) -> float:  # noqa: D102
        ...

    def callLater(  # noqa: D102
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - IReactorTime's name
        *args: object,
    ) -> IDelayedCall: ...


class Stats:
    """Counts since the database was opened, for health and metrics; read on the reactor's thread.

    seconds_running and seconds_committing are the writer thread's, in and at the end of groups.
    """

    __slots__ = (
        "again",
        "failed",
        "groups",
        "largest",
        "refused",
        "rows",
        "seconds_committing",
        "seconds_running",
        "units",
    )

    def __init__(self) -> None:
        self.groups = 0
        self.units = 0
        self.refused = 0
        self.failed = 0
        self.again = 0
        self.largest = 0
        self.rows = 0
        self.seconds_running = 0.0
        self.seconds_committing = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a group."""
        self.groups += 1
        self.units += outcome.done
        self.again += outcome.again
        self.largest = max(self.largest, outcome.done)
        self.rows += outcome.rows
        self.seconds_running += outcome.running
        self.seconds_committing += outcome.committing


class Writer:
    """The one queue to the one connection that writes.

    engine: with a single thread, so that what hops there runs between groups.
    clock: monotonic seconds; in inline mode also runs the groups.
    inline: groups run in the calling thread, from ``clock.callLater(0)`` or :meth:`pump`.
    """

    log = Logger()

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        inline: bool = False,
        group_units: int = limits.GROUP_UNITS,
        group_bytes: int = limits.GROUP_BYTES,
        group_seconds: float = limits.GROUP_MILLISECONDS / 1000,
    ) -> None:
        self.stats = Stats()
        self.on_fatal: Callable[[StorageUnavailable], object] = self._log_fatal
        """Called once, when the disk or file cannot be trusted any more; everything submitted
        after it fails. The daemon's is to stop."""
        self.grown: Callable[[Outcome, int], object] | None = None
        """Called after each group with its outcome and bytes; for the checkpoints."""
        self.measured: Callable[[Outcome], object] | None = None
        """Called after each group with its outcome; for whoever measures."""
        self._engine = engine
        self._clock = clock
        self._inline = inline
        self._group_units = group_units
        self._group_bytes = group_bytes
        self._group_seconds = group_seconds
        self._queue: deque[Unit] = deque()
        self._running: list[Unit] = []
        self._pending: IDelayedCall | None = None
        self._refuse: Refusal | None = None
        self._failed = False
        self._drained: list[Deferred[None]] = []

    # -- what callers use

    @property
    def depth(self) -> int:
        """How many units wait or run."""
        return len(self._queue) + len(self._running)

    def submit(self, unit: Unit) -> None:
        """Queue a unit; its ``finish`` is called once, later, in the order of submission.

        Only a writer that was closed or has failed for good calls it at once, with the reason.
        """
        unit.reset()
        if self._refuse is not None:
            self._finish(unit, self._refuse)
            return
        self._queue.append(unit)
        if not self._running:
            self._wake()

    def drain(self) -> "Deferred[None]":
        """Fire when nothing waits or runs any more."""
        if not self.depth:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def pump(self) -> None:
        """Run everything that is queued, now; inline mode only."""
        if not self._inline:
            raise RuntimeError("only an inline writer is pumped; this one has a thread")
        while self._queue and not self._running:
            self._start()

    def close(self) -> "Deferred[None]":
        """Refuse what comes from now on, and fire when what was submitted before is finished."""
        self._refuse = self._refuse or ShuttingDown(retry_after=SHUTDOWN_RETRY_SECONDS)
        if self._inline:
            self.pump()
        return self.drain()

    def fail(self, fault: StorageUnavailable, group: Sequence[Unit] = ()) -> None:
        """Give up for good: all that waits, runs or comes later fails; ``on_fatal`` is told once.

        group: units that fail first.
        """
        self._refuse = fault
        if not self._running:
            self._fail_all(group)
        if not self._failed:
            self._failed = True
            self.on_fatal(fault)

    def _fail_all(self, group: Sequence[Unit]) -> None:
        units = [*group, *self._queue]
        self._queue.clear()
        self._finish_all(units, [self._refuse] * len(units))
        self._tell_drained()

    # -- one group after another

    def _wake(self) -> None:
        if not self._inline:
            self._start()
        elif self._pending is None:
            self._pending = self._clock.callLater(0, self._start)

    def _take(self) -> list[Unit]:
        queue = self._queue
        group: list[Unit] = []
        room = self._group_bytes
        # A unit larger than a group's bytes still gets its turn, alone.
        while queue and len(group) < self._group_units and (room >= queue[0].size or not group):
            unit = queue.popleft()
            room -= unit.size
            group.append(unit)
        return group

    def _start(self) -> None:
        if self._pending is not None:
            if self._pending.active():
                self._pending.cancel()
            self._pending = None
        group = self._running = self._take()
        hop = self._engine.hop(run_group, group, self._clock.seconds, self._group_seconds)
        hop.addCallbacks(self._ran, self._broke, callbackArgs=(group,), errbackArgs=(group,))
        hop.addErrback(self._log_fault)

    def _broke(self, failure: Failure, group: list[Unit]) -> None:
        # The hop itself failed: no connection could be opened, or run_group has a fault.
        errors: list[BaseException | None] = [failure.value] * len(group)
        self._ran(Outcome(len(group), errors, None, 0, False, 0.0, 0.0), group)

    def _ran(self, outcome: Outcome, group: list[Unit]) -> None:
        done = group if outcome.done == len(group) else group[: outcome.done]
        self._queue.extendleft(reversed(group[outcome.done :]))
        self._running = []
        self.stats.add(outcome)
        if self.measured is not None:
            self.measured(outcome)
        if outcome.fault is not None and is_fatal(outcome.fault):
            self.fail(outcome.fault, done)
            return
        if self._failed:  # while it was on its way: nobody knows whether it arrived
            self._fail_all(done)
            return
        # The next group runs while this one's callers are told; its own outcome cannot arrive
        # before they are, because it comes in a later turn.
        if self._queue:
            self._wake()
        self._finish_all(done, outcome.errors)
        if self.grown is not None:
            self.grown(outcome, sum([unit.size for unit in done]))
        if not self.depth:
            self._tell_drained()

    def _log_fault(self, failure: Failure) -> None:
        self.log.failure("the writer failed between two groups", failure)

    def _tell_drained(self) -> None:
        waiting, self._drained = self._drained, []
        for drained in waiting:
            drained.callback(None)

    def _finish_all(self, units: Sequence[Unit], errors: list[BaseException | None] | None) -> None:
        if errors is None:
            for unit in units:
                self._finish(unit, unit.refusal)
        else:
            for unit, error in zip(units, errors, strict=True):
                self._finish(unit, error)

    def _finish(self, unit: Unit, error: BaseException | None) -> None:
        if error is not None:
            if isinstance(error, Refusal) and not isinstance(error, StorageUnavailable):
                self.stats.refused += 1
            else:
                self.stats.failed += 1
        try:
            unit.finish(error)
        except Exception:  # noqa: BLE001 - it is durable or not; one caller's fault stays its own
            self.log.failure("a caller could not take the outcome of its unit")

    def _log_fatal(self, fault: StorageUnavailable) -> None:
        self.log.critical("the database cannot be trusted any more: {code}", code=fault.code)


class CallUnit(Unit):
    """A plain function as a unit: ``finished(result, error)`` is called after the commit."""

    __slots__ = ("_change", "_finished", "result")

    def __init__(
        self,
        change: Callable[[Connection], Any],
        finished: Callable[[Any, BaseException | None], object],
    ) -> None:
        self._change = change
        self._finished = finished
        self.result: Any = None

    def run(self, connection: Connection) -> None:
        """Call the function and keep what it returns."""
        self.result = self._change(connection)

    def finish(self, error: BaseException | None) -> None:
        """Hand on the result, or the error."""
        self._finished(None if error is not None else self.result, error)


__all__ = [
    "CallUnit",
    "Clock",
    "Family",
    "LateRefusalError",
    "Outcome",
    "Stats",
    "StorageUnavailable",
    "Unit",
    "Writer",
    "run_group",
]
