"""A dead connection is found soon, a slow one left alone; sleep is an argument (see pulse.py)."""

import time

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from lairchat.client import inputs, pulse
from lairchat.model import faults
from tests.client.network import HOST, PORT, NetworkTest

OFTEN = pulse.LOOK_SECONDS / 4


class Wire:
    """A connection that answers, or does not."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heard = clock.seconds()
        self.asked: float | None = None
        self.pings: list[float] = []
        self.after: float | None = 0.1

    @property
    def waiting_for(self) -> float:
        return 0.0 if self.asked is None else self.clock.seconds() - self.asked

    def ping(self) -> None:
        self.pings.append(self.clock.seconds())
        if self.after is not None:
            self.clock.callLater(self.after, self.hear)

    def hear(self) -> None:
        self.heard = self.clock.seconds()


class Watching(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asleep = 0.0
        self.wire: Wire | None = Wire(self.clock)
        self.died: list[float] = []
        self.woken = 0
        self.pulse = pulse.Pulse(
            self.clock,
            lambda: self.asleep,
            connection=lambda: self.wire,
            dead=lambda: self.died.append(self.clock.seconds()),
            awake=self.wake,
        )
        self.pulse.start()

    def wake(self) -> None:
        self.woken += 1

    def go_by(self, seconds: float) -> None:
        self.clock.pump([OFTEN] * round(seconds / OFTEN))

    def standing(self) -> Wire:
        assert self.wire is not None
        return self.wire

    def test_one_that_answers_is_asked_now_and_then_and_lives(self) -> None:
        self.go_by(300)
        assert self.died == []
        assert 18 <= len(self.standing().pings) <= 21

    def test_silence_is_an_end(self) -> None:
        self.standing().after = None
        self.go_by(pulse.SILENCE_SECONDS)
        assert self.died == []
        self.go_by(2 * pulse.LOOK_SECONDS)
        assert self.died

    def test_after_a_sleep_one_that_lives_is_asked_at_once_and_kept(self) -> None:
        self.go_by(5)
        self.standing().pings.clear()
        self.asleep += 3600
        self.go_by(pulse.LOOK_SECONDS)
        assert len(self.standing().pings) == 1
        self.go_by(120)
        assert self.died == []

    def test_after_a_sleep_one_that_is_dead_is_given_up_soon(self) -> None:
        self.go_by(5)
        self.standing().after = None
        self.asleep += 3600
        woke = self.clock.seconds()
        self.go_by(pulse.PROBE_SECONDS - 1)
        assert self.died == []
        self.go_by(3)
        assert self.died[0] - woke <= pulse.LOOK_SECONDS + pulse.PROBE_SECONDS + 1

    def test_a_short_sleep_and_a_clock_that_is_corrected_are_nothing(self) -> None:
        self.go_by(2)
        before = len(self.standing().pings)
        for change in (pulse.SLEEP_SECONDS - 0.1, -3600.0):
            self.asleep += change
            self.go_by(1)
        assert len(self.standing().pings) == before

    def test_a_program_that_stood_still_asks_before_it_judges(self) -> None:
        """Stopped by Ctrl-Z: that the server was not heard meanwhile says nothing of it."""
        self.clock.advance(10 * pulse.SILENCE_SECONDS)
        assert self.died == []
        self.go_by(60)
        assert self.died == []

    def test_an_answer_that_does_not_come_is_doubt(self) -> None:
        self.go_by(1)
        wire = self.standing()
        wire.after = None
        wire.asked = self.clock.seconds()
        wire.hear()
        asked = self.clock.seconds()
        self.go_by(pulse.ANSWER_SECONDS + 2 * pulse.LOOK_SECONDS)
        assert wire.pings[-1] - asked <= pulse.ANSWER_SECONDS + pulse.LOOK_SECONDS
        self.go_by(pulse.PROBE_SECONDS + pulse.LOOK_SECONDS)
        assert len(self.died) == 1
        limit = pulse.ANSWER_SECONDS + pulse.PROBE_SECONDS + 2 * pulse.LOOK_SECONDS
        assert self.died[0] - asked <= limit

    def test_a_server_that_is_only_slow_to_answer_is_kept(self) -> None:
        self.go_by(1)
        self.standing().after = pulse.PROBE_SECONDS - 1
        self.standing().asked = self.clock.seconds()
        self.go_by(300)
        assert self.died == []

    def test_without_a_connection_a_sleep_ends_the_wait(self) -> None:
        self.wire = None
        self.go_by(10)
        assert self.woken == 0
        self.asleep += 60
        self.go_by(1)
        assert self.woken == 1

    def test_doubt_does_not_pass_on_to_the_next_connection(self) -> None:
        self.go_by(1)
        self.standing().after = None
        self.asleep += 60
        self.go_by(pulse.PROBE_SECONDS - 2)
        self.wire = Wire(self.clock)
        self.go_by(60)
        assert self.died == []

    def test_it_stops(self) -> None:
        self.pulse.stop()
        self.pulse.stop()
        assert self.clock.getDelayedCalls() == []


class Asleep(NetworkTest):
    def test_what_is_said_after_a_sleep_goes_out_soon_and_once(self) -> None:
        alice, bob = self.person("alice").enter(), self.person("bob").enter()
        self.network.pipes[0].server.paused = True  # a router on the way has forgotten it
        alice.asleep = 3600.0
        alice.say("after the sleep")
        self.network.wait(pulse.LOOK_SECONDS + pulse.PROBE_SECONDS + 3)
        assert alice.of(inputs.Disconnected)[0].code == "LC-NET-LOST"
        assert alice.link.online
        assert bob.texts() == ["after the sleep"]

    def test_it_does_not_wait_for_an_attempt_that_was_put_off_before_the_sleep(self) -> None:
        alice = self.person("alice").enter()
        self.network.refusal = faults.NetRefused(address=f"{HOST}:{PORT}", host=HOST)
        self.network.pipe.cut()
        self.network.wait(60)
        waits = alice.last(inputs.Disconnected).retry_in
        assert waits > 5
        self.network.refusal = None
        alice.asleep = 3600.0
        self.network.wait(pulse.LOOK_SECONDS + 0.5)
        assert alice.link.online


def test_the_clock_that_counts_sleep_does_not_run_while_awake() -> None:
    before = pulse.slept()
    time.sleep(1.0)  # real time: two clocks of the system are compared
    # Between its two clocks a machine that has much else to do may stand still for a moment.
    assert abs(pulse.slept() - before) < 0.5
