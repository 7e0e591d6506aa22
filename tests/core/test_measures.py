"""Counters and histograms: right numbers, bounded labels, and what the last minute was like."""

import math

import pytest
from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from lairchat.core.measures import (
    Histogram,
    Measures,
    Sample,
    Stopwatch,
    Tally,
    Timed,
    Watch,
    labelled,
    quantile,
)


def test_a_figure_on_a_bound_belongs_below_it():
    histogram = Histogram((1, 2))
    for figure in (0.5, 1, 1.5, 2, 2.1):
        histogram.observe(figure)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == 5
    assert histogram.sum == pytest.approx(7.1)


def test_quantiles_are_as_fine_as_the_bounds():
    assert quantile((1, 2), [0, 0, 0], 0.5) is None
    assert quantile((1, 2), [9, 1, 0], 0.5) == 1
    assert quantile((1, 2), [9, 1, 0], 0.9) == 1
    assert quantile((1, 2), [9, 1, 0], 0.99) == 2
    assert quantile((1, 2), [0, 0, 3], 0.5) == math.inf


def test_a_label_that_nobody_announced_is_an_error_not_a_new_series():
    tally = Tally(["ok"])
    tally.add("ok", 2)
    with pytest.raises(KeyError):
        tally.add("192.0.2.1")
    assert tally.counts == {"ok": 2}
    assert tally.total == 2


def test_names_are_prometheus_names_and_each_is_there_once():
    families = Measures().families
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    for family in families:
        assert family.name.startswith("lairchat_")
        assert family.help.endswith(".")
        assert not family.name.endswith("_total")  # the door adds that to counters
        assert len(family.labels) <= 2


def test_a_gauge_without_a_figure_has_no_sample():
    measures = Measures()
    figure: list[float | None] = [None]
    measures.gauge("lairchat_x", "X.", lambda: figure[0])
    read = measures.families[-1].read
    assert read() == []
    figure[0] = 3.0
    assert read() == [Sample((), 3.0)]
    assert labelled({"a": 1}) == [Sample(("a",), 1)]


class Times(SynchronousTestCase):
    """What is timed with a clock."""

    def setUp(self):
        self.clock = Clock()

    def test_a_stopwatch_observes_what_went_by(self):
        histogram = Histogram((1, 10))
        watch = Stopwatch(self.clock.seconds, histogram)
        watch.start()
        self.clock.advance(5)
        watch.stop()
        assert histogram.counts == [0, 1, 0]
        assert histogram.sum == 5

    def test_reads_are_timed_whatever_they_come_to_and_the_rest_goes_straight_through(self):
        class Storage:
            call = submit = submit_unit = object()

            def read(self, query):
                return query(None)

        storage, reads = Storage(), Histogram((1,))
        timed = Timed(storage, self.clock.seconds, reads)
        assert self.successResultOf(timed.read(lambda connection: succeed(3))) == 3
        failed = timed.read(lambda connection: fail(ValueError("no")))
        self.failureResultOf(failed, ValueError)
        assert reads.total == 2
        assert timed.submit is storage.submit
        assert timed.submit_unit is storage.submit_unit
        assert timed.call is storage.call

    def test_the_last_minute_forgets_what_was_before(self):
        measures = Measures()
        watch = Watch(measures, self.clock.seconds)
        assert watch.recent().messages == 0
        for _ in range(60):
            measures.message(200)
            measures.fanout.observe(0.002)
            watch.look()
            self.clock.advance(1)
        measures.logins.add("ok")
        measures.logins.add("wrong")
        busy = watch.recent()
        assert busy.seconds == 60
        assert busy.messages == pytest.approx(59 / 60)  # the first look came after a message
        assert busy.fanout_p50 == busy.fanout_p99 == 0.0025
        assert busy.logins_failed == 1
        for _ in range(61):
            watch.look()
            self.clock.advance(1)
        calm = watch.recent()
        assert calm.messages == 0
        assert calm.fanout_p50 is None
        assert calm.logins_failed == 0

    def test_a_loop_that_comes_late_is_seen(self):
        measures = Measures()
        watch = Watch(measures, self.clock.seconds)
        watch.look()
        self.clock.advance(1)
        watch.look()
        assert watch.recent().lag == measures.lag.bounds[0]
        self.clock.advance(1.3)
        watch.look()
        assert measures.lag.total == 2
        assert watch.recent().lag == 0.5
