"""Cuts what does not finish in time, with one timer for any number of connections."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Things that have the same time to finish, in the order in which they began.

    Because the limit is the same for all, the first to be added is the first to be due: one timer
    waits for it, and a thing costs a dictionary entry instead of a delayed call of its own.
    ``expire`` is called with each thing that is due, after it was removed.
    """

    __slots__ = ("_clock", "_due", "_expire", "_seconds", "_timer")

    def __init__(self, clock: IReactorTime, seconds: float, expire: Callable[[T], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expire = expire
        self._due: dict[T, float] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, thing: T) -> bool:
        return thing in self._due

    def add(self, thing: T) -> None:
        """Give it :attr:`_seconds` from now; adding it again does not prolong that."""
        if thing in self._due:
            return
        self._due[thing] = self._clock.seconds() + self._seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._sweep)

    def discard(self, thing: T) -> None:
        """Forget it: it finished, or is gone."""
        self._due.pop(thing, None)
        if not self._due:
            self._stop()

    def expire_all(self) -> None:
        """Treat everything as due now."""
        self._stop()
        while self._due:
            thing = next(iter(self._due))
            del self._due[thing]
            self._expire(thing)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._due:
            thing, due = next(iter(self._due.items()))
            if due > now:
                break
            del self._due[thing]
            self._expire(thing)
        # `expire` may have added or discarded things, and with them the timer.
        if self._due and self._timer is None:
            first = next(iter(self._due.values()))
            self._timer = self._clock.callLater(max(0.0, first - now), self._sweep)
