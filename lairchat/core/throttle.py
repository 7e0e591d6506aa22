"""Rate limits: one kind of limiter for everything that can come too often.

GCRA (generic cell rate algorithm, ITU-T I.371 annex A) keeps one number per key, the theoretical
arrival time; it needs no timer and is exact for bursts.
"""

from collections.abc import Callable, Hashable


class Rate:
    """How much is allowed: ``burst`` at once, then one every ``period`` seconds."""

    __slots__ = ("burst", "period", "window")

    def __init__(self, *, burst: float, per_second: float) -> None:
        if burst < 1 or per_second <= 0:
            raise ValueError("a rate needs a burst of 1 or more and a positive refill")
        self.burst = burst
        self.period = 1.0 / per_second
        #: Seconds that arrivals may run ahead; half a microsecond more, because float sums must not
        #: refuse the last token of a burst.
        self.window = burst * self.period + 5e-7

    def __repr__(self) -> str:
        """Show burst and rate."""
        return f"Rate(burst={self.burst:g}, per_second={1 / self.period:g})"


class Throttle:
    """Arrival times by key on a monotonic clock; idle keys are forgotten by :meth:`sweep`."""

    __slots__ = ("_arrivals", "_seconds")

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._arrivals: dict[Hashable, float] = {}

    def take(self, key: Hashable, rate: Rate, cost: float = 1.0) -> float:
        """Take ``cost`` tokens of ``key``: return 0.0, or the seconds to wait (then nothing is taken)."""
        now = self._seconds()
        arrival = self._arrivals.get(key, 0.0)
        if arrival < now:  # noqa: PLR1730 - a third of the time of max(), for every command
            arrival = now
        after = arrival + cost * rate.period
        if after - now > rate.window:
            return after - now - rate.burst * rate.period
        self._arrivals[key] = after
        return 0.0

    def peek(self, key: Hashable, rate: Rate, cost: float = 1.0) -> float:
        """Return the seconds that :meth:`take` would ask to wait, taking nothing."""
        now = self._seconds()
        after = max(self._arrivals.get(key, 0.0), now) + cost * rate.period
        return max(0.0, after - now - rate.burst * rate.period)

    def forget(self, key: Hashable) -> None:
        """Clear what ``key`` has used, after a success for instance."""
        self._arrivals.pop(key, None)

    def sweep(self) -> None:
        """Drop keys whose burst is whole again, so that memory follows activity, not history."""
        now = self._seconds()
        for key in [key for key, arrival in self._arrivals.items() if arrival <= now]:
            del self._arrivals[key]

    def __len__(self) -> int:
        """Count the keys that have used some of their burst."""
        return len(self._arrivals)
