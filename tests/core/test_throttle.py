"""The rate limiter: exact bursts, exact refill, nothing kept of who is idle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lairchat.core.throttle import Rate, Throttle


class Ticks:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def throttle(ticks):
    return Throttle(ticks)


TEN = Rate(burst=10, per_second=5)


def test_a_burst_is_allowed_exactly_and_then_one_every_period(throttle, ticks):
    assert [throttle.take("a", TEN) for _ in range(10)] == [0.0] * 10
    assert throttle.take("a", TEN) == pytest.approx(0.2)
    ticks.now += 0.2
    assert throttle.take("a", TEN) == 0.0
    assert throttle.take("a", TEN) == pytest.approx(0.2)


def test_keys_do_not_share(throttle):
    for _ in range(10):
        throttle.take("a", TEN)
    assert throttle.take("b", TEN) == 0.0
    assert throttle.take(("b", 1), TEN) == 0.0


def test_dear_things_take_more_and_a_refusal_takes_nothing(throttle):
    assert throttle.take("a", TEN, 8) == 0.0
    assert throttle.take("a", TEN, 5) == pytest.approx(0.6)
    assert throttle.take("a", TEN, 2) == 0.0


def test_a_look_takes_nothing(throttle):
    for _ in range(3):
        assert throttle.peek("a", TEN, 10) == 0.0
    throttle.take("a", TEN, 10)
    assert throttle.peek("a", TEN) == pytest.approx(0.2)
    assert throttle.peek("a", TEN, 5) == pytest.approx(1.0)


def test_what_is_forgotten_starts_anew(throttle):
    throttle.take("a", TEN, 10)
    throttle.forget("a")
    throttle.forget("nobody")
    assert throttle.take("a", TEN, 10) == 0.0


def test_who_is_idle_costs_no_memory(throttle, ticks):
    throttle.take("a", TEN, 10)
    ticks.now += 1
    throttle.take("b", TEN, 10)
    assert len(throttle) == 2
    ticks.now += 1
    throttle.sweep()
    assert len(throttle) == 1
    assert throttle.take("b", TEN, 6) > 0
    ticks.now += 1
    throttle.sweep()
    assert len(throttle) == 0


def test_a_rate_needs_a_burst_and_a_refill():
    for burst, per_second in ((0.5, 1), (1, 0), (1, -1)):
        with pytest.raises(ValueError, match="a rate needs"):
            Rate(burst=burst, per_second=per_second)
    assert repr(Rate(burst=10, per_second=5)) == "Rate(burst=10, per_second=5)"


rates = st.builds(
    lambda burst, per_second: Rate(burst=burst, per_second=per_second),
    st.integers(1, 50),
    st.sampled_from([0.1, 0.5, 1, 2, 5, 20, 100]),
)


@given(rates, st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5)), max_size=60))
def test_over_any_time_no_more_is_taken_than_burst_and_refill(rate, requests):
    ticks = Ticks()
    throttle = Throttle(ticks)
    started, taken = ticks.now, 0
    for pause, cost in requests:
        ticks.now += pause
        if throttle.take("a", rate, cost) == 0.0:
            taken += cost
    assert taken <= rate.burst + (ticks.now - started) / rate.period + 1e-3


@given(rates, st.lists(st.floats(0, 20), max_size=60))
def test_who_waits_as_long_as_told_is_let_through(rate, pauses):
    ticks = Ticks()
    throttle = Throttle(ticks)
    for pause in pauses:
        ticks.now += pause
        wait = throttle.take("a", rate)
        assert wait <= rate.period * 1.001
        if wait:
            ticks.now += wait
            assert throttle.take("a", rate) == 0.0


@given(rates, st.integers(1, 60))
def test_a_look_and_a_take_agree(rate, count):
    throttle = Throttle(Ticks())
    for _ in range(count):
        seen = throttle.peek("a", rate)
        taken = throttle.take("a", rate)
        assert taken == pytest.approx(seen, abs=1e-6)
