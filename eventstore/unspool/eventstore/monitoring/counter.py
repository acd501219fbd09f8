"""Counters whose recording is cheap: a step of an execution needs several."""

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Counter:
    """Counts. It belongs to one thread.

    That of prometheus-client locks, and takes ten times as long.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        """Adds a number that is not negative."""
        self.value += by


class CounterFamily(Collector):
    """The counters of one name, by the values of its labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._series: dict[tuple[str, ...], Counter] = {}

    def labels(self, *values: str) -> Counter:
        """The counter for some values of the labels."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Counter()
        return found

    def describe(self) -> Iterable[Metric]:
        """See `Collector`."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        family = self._family()
        for values, counter in list(self._series.items()):
            family.add_metric(values, counter.value)
        return [family]

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._text, labels=self._labels)
