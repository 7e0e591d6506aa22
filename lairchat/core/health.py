"""Says whether the server is well, and if not why: one report, for whoever asks.

Checks are registered by the composition root.  A check that does not answer is a finding like any
other, and is not asked again before it does: a server that hangs must be able to say so, and must
not be made worse by those who keep asking.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from lairchat.model import limits
from lairchat.model.refusal import Refusal, describe_wait


class Level(IntEnum):
    """How bad a finding is: worth a look, or no work can be done."""

    OK = 0
    WARN = 1
    FAIL = 2


class Finding(NamedTuple):
    """What a check found, in words for an operator: no names, texts or addresses of people."""

    level: Level
    text: str


Check = Callable[[], "Finding | Deferred[Finding]"]


class Report(NamedTuple):
    """All findings, in the order of registration."""

    findings: dict[str, Finding]

    @property
    def level(self) -> Level:
        """The worst of them."""
        return max((finding.level for finding in self.findings.values()), default=Level.OK)

    @property
    def reasons(self) -> list[str]:
        """Why the server is not ready."""
        return [
            f"{name}: {finding.text}"
            for name, finding in self.findings.items()
            if finding.level is Level.FAIL
        ]


class Health:
    """Asks all checks at once, at most once in :data:`limits.HEALTH_KEPT_SECONDS`.

    clock: monotonic.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._probes: dict[str, _Probe] = {}
        self._report: Report | None = None
        self._made = 0.0
        self._waiting: list[Deferred[Report]] | None = None

    @property
    def last(self) -> Report | None:
        """The report that was made last, however old."""
        return self._report

    def add(self, name: str, check: Check) -> None:
        """Register a check; the order is the one in which people read the report."""
        self._probes[name] = _Probe(name, check, self._clock)

    def examine(self) -> "Deferred[Report]":
        """Return a report that is fresh, or that others wait for already; it never fails."""
        if self._report is not None:
            age = self._clock.seconds() - self._made
            if age < limits.HEALTH_KEPT_SECONDS:
                return succeed(self._report)
        # Each caller has a Deferred of its own, so that none can change what the others get.
        asked: Deferred[Report] = Deferred()
        if self._waiting is not None:
            self._waiting.append(asked)
            return asked
        self._waiting = [asked]
        findings: dict[str, Finding | None] = dict.fromkeys(self._probes)

        def found(name: str, finding: Finding) -> None:
            findings[name] = finding
            if None not in findings.values():
                self._done(Report({name: one for name, one in findings.items() if one}))

        for name, probe in list(self._probes.items()):
            probe.ask(partial(found, name))
        if not findings:
            self._done(Report({}))
        return asked

    def _done(self, report: Report) -> None:
        self._report, self._made = report, self._clock.seconds()
        waiting, self._waiting = self._waiting or [], None
        for asked in waiting:
            asked.callback(report)


class _Probe:
    """One check, under way at most once."""

    log = Logger()

    def __init__(self, name: str, check: Check, clock: IReactorTime) -> None:
        self._name = name
        self._check = check
        self._clock = clock
        self._asked_at: float | None = None
        self._tell: Callable[[Finding], object] | None = None
        self._timer: IDelayedCall | None = None

    def ask(self, tell: Callable[[Finding], object]) -> None:
        """Call ``tell`` once, with what was found or that nothing was found in time."""
        self._tell = tell
        if self._asked_at is None:
            self._asked_at = self._clock.seconds()
            self._timer = self._clock.callLater(limits.HEALTH_SECONDS, self._late)
            maybeDeferred(self._check).addCallbacks(self._found, self._failed)
        else:
            self._late()

    def _late(self) -> None:
        assert self._asked_at is not None
        waited = describe_wait(max(self._clock.seconds() - self._asked_at, limits.HEALTH_SECONDS))
        self._say(Finding(Level.FAIL, f"no answer for {waited}"))

    def _found(self, finding: Finding) -> None:
        self._asked_at = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._say(finding)

    def _failed(self, failure: Failure) -> None:
        error: Any = failure.value
        if isinstance(error, Refusal):
            self._found(Finding(Level.FAIL, str(error)))
            return
        self.log.failure("the check {name} failed", failure, name=self._name)
        self._found(Finding(Level.FAIL, "the check itself failed; see the log"))

    def _say(self, finding: Finding) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(finding)
