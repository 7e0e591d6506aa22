"""Deadlines: exact, in order, with one timer."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from lairchat.transports.deadlines import Deadlines


def test_each_thing_is_due_exactly_its_time_after_it_was_added() -> None:
    clock = Clock()
    due: list[tuple[str, float]] = []
    deadlines = Deadlines[str](clock, 10, lambda thing: due.append((thing, clock.seconds())))
    deadlines.add("a")
    clock.advance(4)
    deadlines.add("b")
    deadlines.add("c")
    assert len(deadlines) == 3
    assert len(clock.getDelayedCalls()) == 1
    clock.pump([1] * 20)
    assert due == [("a", 10), ("b", 14), ("c", 14)]
    assert not clock.getDelayedCalls()


def test_adding_again_does_not_prolong() -> None:
    clock = Clock()
    due: list[str] = []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.add("a")
    clock.advance(9)
    deadlines.add("a")
    assert "a" in deadlines
    clock.advance(1)
    assert due == ["a"]


def test_the_timer_ends_with_the_last_thing() -> None:
    clock = Clock()
    deadlines = Deadlines[str](clock, 10, lambda thing: None)
    deadlines.discard("never there")
    deadlines.add("a")
    deadlines.add("b")
    deadlines.discard("a")
    assert clock.getDelayedCalls()
    deadlines.discard("b")
    assert not clock.getDelayedCalls()


def test_what_expires_may_add_and_discard() -> None:
    clock = Clock()
    due: list[tuple[str, float]] = []

    def expire(thing: str) -> None:
        due.append((thing, clock.seconds()))
        if thing == "a":
            deadlines.discard("b")
            deadlines.add("d")

    deadlines = Deadlines[str](clock, 10, expire)
    for thing in "abc":
        deadlines.add(thing)
    clock.advance(10)
    assert due == [("a", 10), ("c", 10)]
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(10)
    assert due[-1] == ("d", 20)


def test_everything_can_expire_at_once() -> None:
    clock = Clock()
    due: list[str] = []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.add("a")
    deadlines.add("b")
    deadlines.expire_all()
    assert due == ["a", "b"]
    assert not clock.getDelayedCalls()


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 9), st.booleans()), max_size=60))
def test_like_a_timer_for_each(steps: list[tuple[float, int, bool]]) -> None:
    """Any history of adding and discarding gives what a delayed call for each would give."""
    clock, reference = Clock(), Clock()
    due: list[tuple[int, float]] = []
    expected: list[tuple[int, float]] = []
    deadlines = Deadlines[int](clock, 5, lambda thing: due.append((thing, clock.seconds())))
    calls: dict[int, object] = {}

    def expire(thing: int) -> None:
        del calls[thing]
        expected.append((thing, reference.seconds()))

    for wait, thing, adds in [*steps, (9.0, 0, False)]:
        clock.advance(wait)
        reference.advance(wait)
        if adds:
            deadlines.add(thing)
            if thing not in calls:
                calls[thing] = reference.callLater(5, expire, thing)
        else:
            deadlines.discard(thing)
            if thing in calls:
                calls.pop(thing).cancel()
    assert due == expected
    assert len(deadlines) == len(calls)
