"""Counts what happens in plain numbers, which the doors for operators read.

Counting is on the way of every message, so it costs a dictionary entry or two, and nobody's label
is ever a person, a room or an address: what can grow without bound does not belong here.
Names and units are Prometheus' (https://prometheus.io/docs/practices/naming/); only the door knows
how they are written.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from lairchat.core.plan import Connection

SECONDS = (0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
"""seconds: bounds of what is expected to take milliseconds; beyond 2.5 s it has failed anyway."""
LONG_SECONDS = (*SECONDS, 1.0, 2.5)
BYTES = (64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0, 16_384.0)

RECENT_SECONDS = 60
"""seconds: what "recent" means to people who look at a server."""


class Sample(NamedTuple):
    """A number under its label values, in the order of the family's labels."""

    labels: tuple[str, ...]
    value: float


class Tally:
    """Counts events by a label whose values are known beforehand."""

    __slots__ = ("counts",)

    def __init__(self, values: Iterable[str]) -> None:
        self.counts = dict.fromkeys(values, 0)

    def add(self, value: str, count: int = 1) -> None:
        """Count; raises KeyError for a value that nobody announced, so that none can be made up."""
        self.counts[value] += count

    @property
    def total(self) -> int:
        """All together."""
        return sum(self.counts.values())


class Histogram:
    """How often a figure was how large: one count for each bound, and one for all that is beyond."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, figure: float) -> None:
        """Count one figure."""
        self.counts[bisect_left(self.bounds, figure)] += 1
        self.sum += figure

    @property
    def total(self) -> int:
        """How many figures there were."""
        return sum(self.counts)


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the bound below which a share of the figures lies, or None where there are none.

    share: 0 to 1.  It is as fine as the bounds; beyond the last one it is infinite.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    seen = 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        seen += count
        if seen >= wanted:
            return bound
    raise AssertionError("a share of more than all was asked for")


class Family(NamedTuple):
    """One metric as the outside knows it.

    kind: counter, gauge or histogram.  labels: at most two names.
    read: its values now; of histograms, by label values, the histograms.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[], Any]


class Measures:
    """All that is counted in one server; ``families`` is the list that doors show.

    scopes: the kinds of rate that a caller may run into.
    """

    def __init__(self, scopes: Iterable[str] = ("message", "command")) -> None:
        self.families: list[Family] = []
        self.messages = self.tally(
            "lairchat_messages", "Messages stored, by kind.", "kind", ["app"]
        )
        self.message_bytes = self._histogram(
            "lairchat_message_bytes", "Size of the bodies of messages.", BYTES
        )
        self.fanout = self._histogram(
            "lairchat_message_fanout_seconds",
            "From the commit of a turn's events to their last write to a connection.",
            SECONDS,
        )
        self.logins = self.tally(
            "lairchat_auth_attempts",
            "Attempts to log in, by what came of them.",
            "result",
            ["ok", "wrong", "delayed", "busy", "locked", "reused", "failed"],
        )
        self.limited = self.tally(
            "lairchat_rate_limited",
            "What was refused because it came too often, by what it was.",
            "scope",
            [*scopes, "login", "connection", "http"],
        )
        self.queries = {op: Histogram(LONG_SECONDS) for op in ("read", "write", "commit")}
        self.families.append(
            Family(
                "lairchat_db_query_seconds",
                "histogram",
                "Time in the database: a read with its wait for a thread, the statements of a "
                "group of writes, its commit with the fsync.",
                ("op",),
                lambda: {(op,): histogram for op, histogram in self.queries.items()},
            )
        )
        self.lag = self._histogram(
            "lairchat_reactor_lag_seconds",
            "How late the event loop comes to a call that is due, looked at once a second.",
            LONG_SECONDS,
        )

    def message(self, size: int) -> None:
        """Count a message of so many bytes."""
        self.messages.counts["app"] += 1
        self.message_bytes.observe(size)

    # -- families of others

    def tally(self, name: str, about: str, label: str, values: Iterable[str]) -> Tally:
        """Add a counter with one label."""
        tally = Tally(values)
        self.families.append(
            Family(
                name,
                "counter",
                about,
                (label,),
                lambda: [Sample((value,), count) for value, count in tally.counts.items()],
            )
        )
        return tally

    def gauge(self, name: str, about: str, read: Callable[[], float | None]) -> None:
        """Add a figure that is looked up when somebody asks; None: there is none at present."""

        def samples() -> list[Sample]:
            value = read()
            return [] if value is None else [Sample((), value)]

        self.families.append(Family(name, "gauge", about, (), samples))

    def gauges(
        self, name: str, about: str, labels: tuple[str, ...], read: Callable[[], Iterable[Sample]]
    ) -> None:
        """Add figures with labels that are looked up when somebody asks."""
        self.families.append(Family(name, "gauge", about, labels, read))

    def counters(
        self, name: str, about: str, labels: tuple[str, ...], read: Callable[[], Iterable[Sample]]
    ) -> None:
        """Add counters that somebody else keeps."""
        self.families.append(Family(name, "counter", about, labels, read))

    def _histogram(self, name: str, about: str, bounds: Sequence[float]) -> Histogram:
        histogram = Histogram(bounds)
        self.families.append(Family(name, "histogram", about, (), lambda: {(): histogram}))
        return histogram


class Stopwatch:
    """Takes the time of something that happens at most once at a time."""

    __slots__ = ("_histogram", "_seconds", "_started")

    def __init__(self, seconds: Callable[[], float], histogram: Histogram) -> None:
        self._seconds = seconds
        self._histogram = histogram
        self._started = 0.0

    def start(self) -> None:
        """Begin."""
        self._started = self._seconds()

    def stop(self) -> None:
        """Observe the time since the start."""
        self._histogram.observe(self._seconds() - self._started)


class Storage(Protocol):
    """The part of the kernel's storage that is timed."""

    def read(self, query: Callable[[Connection], Any]) -> "Deferred[Any]":
        """Run a query in a read transaction."""


class Timed:
    """A storage whose reads are timed; all else goes straight to it."""

    def __init__(self, storage: Any, seconds: Callable[[], float], reads: Histogram) -> None:
        self._storage: Storage = storage
        self._seconds = seconds
        self._reads = reads
        # The way of every message: no call in between.
        self.call = storage.call
        self.submit = storage.submit
        self.submit_unit = storage.submit_unit

    def read(self, query: Callable[[Connection], Any]) -> "Deferred[Any]":
        """Run a query and note how long its caller waited."""
        started = self._seconds()
        return self._storage.read(query).addBoth(self._note, started)

    def _note(self, result: Any, started: float) -> Any:
        self._reads.observe(self._seconds() - started)
        return result


class Recent(NamedTuple):
    """What the last minute was like.

    seconds: how long a time this is about, 0 right after the start.
    messages: per second.  fanout: p50 and p99 in seconds, None where nobody said anything.
    logins_failed: count.  lag: the worst, in seconds, as fine as the bounds.
    """

    seconds: float
    messages: float
    fanout_p50: float | None
    fanout_p99: float | None
    logins_failed: int
    lag: float


class Watch:
    """Looks once a second: how late it was called, and what the last minute was like."""

    def __init__(self, measures: Measures, seconds: Callable[[], float]) -> None:
        self._measures = measures
        self._seconds = seconds
        self._due: float | None = None
        self._kept: deque[tuple[float, int, int, list[int], list[int]]] = deque(
            maxlen=RECENT_SECONDS + 1
        )

    def look(self, every: float = 1.0) -> None:
        """Note where the counts stand; called ``every`` so many seconds."""
        now = self._seconds()
        if self._due is not None:
            self._measures.lag.observe(max(0.0, now - self._due))
        self._due = now + every
        self._kept.append(self._stand(now))

    def _stand(self, now: float) -> tuple[float, int, int, list[int], list[int]]:
        measures = self._measures
        failed = measures.logins.total - measures.logins.counts["ok"]
        return now, measures.messages.total, failed, [*measures.fanout.counts], [
            *measures.lag.counts
        ]  # fmt: skip

    def recent(self) -> Recent:
        """Compare now with a minute ago, or with the start."""
        measures = self._measures
        last = self._stand(self._seconds())
        first = self._kept[0] if self._kept else last
        seconds = last[0] - first[0]
        fanout = [now - then for now, then in zip(last[3], first[3], strict=True)]
        lag = [now - then for now, then in zip(last[4], first[4], strict=True)]
        return Recent(
            seconds=seconds,
            messages=(last[1] - first[1]) / seconds if seconds else 0.0,
            fanout_p50=quantile(measures.fanout.bounds, fanout, 0.5),
            fanout_p99=quantile(measures.fanout.bounds, fanout, 0.99),
            logins_failed=last[2] - first[2],
            lag=quantile(measures.lag.bounds, lag, 1.0) or 0.0,
        )


def labelled(values: Mapping[str, float]) -> list[Sample]:
    """Return one sample for each value of a single label."""
    return [Sample((label,), value) for label, value in values.items()]
