"""The Prometheus metrics of one process: a registry of its own, and a description of each metric."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from unspool.eventstore.monitoring.counter import Counter, CounterFamily
from unspool.eventstore.monitoring.histogram import Histogram, HistogramFamily
from unspool.eventstore.records import Body, Delivery

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

SHORT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Buckets of what takes milliseconds: decisions, commits."""

LONG_SECONDS: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Buckets of what can take long: tasks, waits in queues."""

OTHER: Final = "other"
"""The value of a label for everything that has none of its own."""


class DescribedMetric(NamedTuple):
    """A metric, as the reference shows it."""

    name: str
    """As in the text format, without the `_bucket`, `_sum` and `_count` of a histogram."""
    type: str
    labels: tuple[str, ...]
    help: str


class MetricSet:
    """The metrics of a process. Every service of the process adds its own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self.described: Final[list[DescribedMetric]] = []
        self.refreshing: Final[list[Callable[[], Awaitable[object]]]] = []
        """What `refreshed` awaits: reads what computed metrics show."""

    def counter(self, name: str, text: str) -> Counter:
        """Adds a counter without labels; the name ends in `_total`."""
        return self.counters(name, text).labels()

    def counters(self, name: str, text: str, *labels: str) -> CounterFamily:
        """Adds counters with labels."""
        family = CounterFamily(name, text, labels)
        self._describe(name, "counter", text, labels)
        self.registry.register(family)
        return family

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Adds a gauge."""
        self._describe(name, "gauge", text, labels)
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *, buckets: Sequence[float]) -> Histogram:
        """Adds a histogram without labels; the name ends in `_seconds`."""
        return self.histograms(name, text, buckets=buckets).labels()

    def histograms(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> HistogramFamily:
        """Adds histograms with labels."""
        family = HistogramFamily(name, text, labels, buckets)
        self._describe(name, "histogram", text, labels)
        self.registry.register(family)
        return family

    def computed(
        self, described: Sequence[DescribedMetric], read: Callable[[], Iterable["ComputedSample"]]
    ) -> None:
        """Adds counters and gauges whose values are read when they are asked for."""
        self.described.extend(described)
        self.registry.register(_Computed(described, read))

    def add(self, collector: Collector, described: Sequence[DescribedMetric]) -> None:
        """Adds metrics that a library collects."""
        self.described.extend(described)
        self.registry.register(collector)

    async def refreshed(self) -> bytes:
        """Returns all metrics, with new values of what is outside of the process."""
        await asyncio.gather(*(refresh() for refresh in self.refreshing))
        return self.exposition()

    def exposition(self) -> bytes:
        """Returns all metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def _describe(self, name: str, type_: str, text: str, labels: tuple[str, ...]) -> None:
        self.described.append(DescribedMetric(name, type_, labels, text))


class ComputedSample(NamedTuple):
    """The value of a computed metric."""

    name: str
    labels: tuple[str, ...]
    value: float


class _Computed(Collector):
    """Reads values when metrics are asked for."""

    def __init__(
        self, described: Sequence[DescribedMetric], read: Callable[[], Iterable[ComputedSample]]
    ) -> None:
        self._described = described
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [_family(each) for each in self._described]

    def collect(self) -> Iterable[Metric]:
        families = {each.name: _family(each) for each in self._described}
        for sample in self._read():
            families[sample.name].add_metric(sample.labels, sample.value)
        return list(families.values())


def _family(described: DescribedMetric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if described.type == "counter" else GaugeMetricFamily
    return kind(described.name, described.help, labels=described.labels)


class BoundedNames:
    """The first values of a label, up to a number; the others are `OTHER`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()

    def of(self, name: str) -> str:
        """The value of the label for a name."""
        if name in self._names:
            return name
        if len(self._names) >= self._most:
            return OTHER
        self._names.add(name)
        return name


def oldest_of(deliveries: Sequence[Delivery[Body]]) -> tuple[int, int]:
    """When the oldest of some deliveries was queued, 0 if one does not tell it; and how many came before."""
    if len(deliveries) == 1:  # without load, each step is a batch of its own
        return deliveries[0].queued_at, int(deliveries[0].attempts > 1)
    oldest = min([delivery.queued_at for delivery in deliveries])
    return oldest, sum([delivery.attempts > 1 for delivery in deliveries])
