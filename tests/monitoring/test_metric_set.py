"""The metric set: its text is what prometheus-client itself would write."""

import random

import prometheus_client
from tests.monitoring.metrics import Exposition

from unspool.eventstore.monitoring.metric_set import LONG_SECONDS, BoundedNames, MetricSet

# Else each series of the library has a second one with the time of its creation.
prometheus_client.disable_created_metrics()


def test_a_histogram_counts_as_that_of_the_library():
    ours, theirs = MetricSet(), prometheus_client.CollectorRegistry()
    family = ours.histograms("t_seconds", "Time.", "kind", buckets=LONG_SECONDS)
    other = prometheus_client.Histogram("t_seconds", "Time.", ["kind"], registry=theirs, buckets=LONG_SECONDS)
    values = [*LONG_SECONDS, 0.0, *(random.Random(7).expovariate(0.1) for _ in range(500)), 1e6]
    for value in values:
        for kind in ("http", "shell"):
            family.labels(kind).observe(value)
            other.labels(kind).observe(value)
    assert ours.exposition() == prometheus_client.generate_latest(theirs)


def test_a_counter_counts_as_that_of_the_library():
    ours, theirs = MetricSet(), prometheus_client.CollectorRegistry()
    family = ours.counters("t_total", "Things.", "kind")
    other = prometheus_client.Counter("t_total", "Things.", ["kind"], registry=theirs)
    for kind, count in (("a", 1), ("b", 2.5), ("a", 3), ('"\n', 1e9)):
        family.labels(kind).inc(count)
        other.labels(kind).inc(count)
    assert ours.exposition() == prometheus_client.generate_latest(theirs)


def test_a_histogram_without_values_is_shown():
    metrics = MetricSet()
    metrics.histogram("t_seconds", "Time.", buckets=(1.0,))
    assert Exposition(metrics.exposition()).value("t_seconds_count") == 0


def test_names_beyond_a_number_are_one():
    names = BoundedNames(2)
    assert [names.of(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]
