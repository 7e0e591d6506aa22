"""Finds out that a connection is dead: asks now and then, and at once when there is doubt.

There is doubt after a sleep of the computer, which no timer notices and which neither servers nor
routers wait for, and while something that was asked is not answered.
Promises not to know: sockets, frames, what follows.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.task import LoopingCall

#: How often we look; a sleep is noticed this much later at most.
LOOK_SECONDS = 1.0
#: How often a connection is asked whether it lives.
PING_SECONDS = 15.0
#: One that has said nothing for so long, pings notwithstanding, is given up.
SILENCE_SECONDS = 45.0
#: A command that waits so long for its answer, while nothing else comes, is reason for doubt.
ANSWER_SECONDS = 5.0
#: How long a connection in doubt has to say something: through Tor an answer takes seconds.
PROBE_SECONDS = 10.0
#: A sleep of the computer, or a standstill of this program, that is shorter than this is none.
SLEEP_SECONDS = 3.0

#: Counts on while the computer sleeps.  Where there is none the clock on the wall does it too; that
#: it is also set now and then costs a ping.
_COUNTS_SLEEP: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_REALTIME)


def slept() -> float:
    """Return seconds that grow by each sleep of the computer, and hardly at all while it is awake."""
    return time.clock_gettime(_COUNTS_SLEEP) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Living(Protocol):
    """A connection, as far as this has to know one. heard: when it said something last."""

    heard: float

    @property
    def waiting_for(self) -> float:
        """Seconds for which the oldest question has been waiting; 0 without one."""

    def ping(self) -> None:
        """Ask whether it lives."""


class Pulse:
    """Watches the connection that stands, one after the other.

    clock: IReactorTime.  asleep: as ``slept``.
    connection: returns it, or None.  dead: gives it up.
    awake: called after a sleep while there is none.
    """

    def __init__(
        self,
        clock: Any,
        asleep: Callable[[], float],
        *,
        connection: Callable[[], Living | None],
        dead: Callable[[], None],
        awake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._asleep = asleep
        self._connection = connection
        self._dead = dead
        self._awake = awake
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._looked: float = 0.0
        self._slept: float = 0.0
        self._asked: float = 0.0
        self._doubted: Living | None = None
        self._since = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._looked, self._slept = self._clock.seconds(), self._asleep()
        self._looking.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        woke, connection = self._woke(), self._connection()
        if connection is not None:
            self._judge(connection, woke=woke)
        elif woke:
            self._awake()

    def _woke(self) -> bool:
        """Tell whether the computer slept, or this program stood still, since the last look."""
        now, asleep = self._clock.seconds(), self._asleep()
        missed: float = (now - self._looked - LOOK_SECONDS) + (asleep - self._slept)
        self._looked, self._slept = now, asleep
        return missed > SLEEP_SECONDS

    def _judge(self, connection: Living, *, woke: bool) -> None:
        now = self._clock.seconds()
        if connection is not self._doubted or connection.heard > self._since:
            self._doubted = None
        silent = now - connection.heard
        unanswered = min(silent, connection.waiting_for) > ANSWER_SECONDS
        if woke or (unanswered and self._doubted is None):
            # What was silent while nobody listened is asked before it is judged.
            self._doubted, self._since = connection, now
            self._ask(connection)
        elif self._given_up(now, silent):
            self._doubted = None
            self._dead()
        elif now - self._asked >= PING_SECONDS:
            self._ask(connection)

    def _given_up(self, now: float, silent: float) -> bool:
        if self._doubted is None:
            return silent > SILENCE_SECONDS
        return now - self._since > PROBE_SECONDS

    def _ask(self, connection: Living) -> None:
        self._asked = self._clock.seconds()
        connection.ping()
