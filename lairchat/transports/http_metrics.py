"""Writes what core/measures.py counts as Prometheus reads it.

prometheus_client is imported here only: it writes the text formats and knows the process's figures;
the counting is ours, because its own costs several times as much on the way of every message.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from lairchat.core.measures import Family, Measures
from lairchat.transports.http_answer import Answer, Asked

# Else every counter has a second series with the time at which it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Exposition(Collector):
    """The measures of one server, and its process, in the format that a scraper asks for."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family with the values it has now (called by the registry)."""
        return map(metric_of, self._measures.families)

    def answer(self, asked: Asked) -> Answer:
        """Return all metrics, as OpenMetrics or in the older text format."""
        encode, kind = choose_encoder(asked.accept)
        return Answer(200, kind.encode("ascii"), encode(self._registry))


def metric_of(family: Family) -> Metric:
    """Return one family with its values."""
    name, about, labels, values = family.name, family.help, family.labels, family.read()
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, about, labels=labels)
        for under, one in values.items():
            histogram.add_metric(under, _buckets(one), one.sum)
        return histogram
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
    metric: Any = kinds[family.kind](name, about, labels=labels)
    for sample in values:
        metric.add_metric(sample.labels, sample.value)
    return metric  # type: ignore[no-any-return]


def _buckets(histogram: Any) -> list[tuple[str, float]]:
    """Return the counts at or below each bound, as Prometheus counts them."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
