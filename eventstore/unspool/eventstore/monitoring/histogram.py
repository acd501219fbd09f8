"""Histograms whose recording is cheap: a step of an execution needs several."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Histogram:
    """Counts values by buckets. It belongs to one thread.

    That of prometheus-client locks for each number that it changes, and takes five times as long.
    """

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Takes the upper bounds of the buckets, ascending; a last bucket has all larger values."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class HistogramFamily(Collector):
    """The histograms of one name, by the values of its labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._series: dict[tuple[str, ...], Histogram] = {}

    def labels(self, *values: str) -> Histogram:
        """The histogram for some values of the labels."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Histogram(self._bounds)
        return found

    def describe(self) -> Iterable[Metric]:
        """See `Collector`."""
        return [HistogramMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, histogram in list(self._series.items()):
            family.add_metric(values, self._buckets(histogram), histogram.sum)
        return [family]

    def _buckets(self, histogram: Histogram) -> list[tuple[str, float]]:
        """The bounds as text, each with the count of all values up to it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets, total = [], 0
        for bound, count in zip(bounds, histogram.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets
