"""`unspool metrics`: every metric that services have."""

from collections.abc import Callable, Iterator
from typing import Final, NoReturn

import click

from unspool.api.metrics import ApiMetrics, add_transports
from unspool.cli.options import example, json_option
from unspool.cli.output import print_line, print_table
from unspool.eventstore.monitoring.metric_set import DescribedMetric, MetricSet
from unspool.eventstore.monitoring.process import add_process
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.monitoring.store_metrics import add_store
from unspool.executor.prometheus_metrics import PrometheusExecutorMetrics
from unspool.timer_service.prometheus_metrics import PrometheusRetentionMetrics, PrometheusTimerMetrics
from unspool.worker.prometheus_metrics import PrometheusWorkerMetrics


@click.command(epilog=example("unspool metrics"))
@json_option
def metrics(as_json: bool) -> None:
    """List every metric: the service that has it, its type and labels, and what it says."""
    if as_json:
        for service, each in all_metrics():
            print_line({"service": service, **each._asdict(), "labels": list(each.labels)})
        return
    print_table(
        ("METRIC", "TYPE", "LABELS", "SERVICE", "WHAT"),
        (
            (each.name, each.type, ",".join(each.labels), service, each.help)
            for service, each in all_metrics()
        ),
    )


def all_metrics() -> Iterator[tuple[str, DescribedMetric]]:
    """Returns every metric, with the service that has it."""
    for service, add in _SERVICES.items():
        metrics = MetricSet()
        add(metrics)
        for each in metrics.described:
            yield service, each


def _unread() -> NoReturn:
    raise AssertionError("figures are not read, because nothing is served")


def _add_worker(metrics: MetricSet) -> None:
    PrometheusWorkerMetrics(metrics, MonitoringSettings()).observe(_unread)


def _add_executor(metrics: MetricSet) -> None:
    executor = PrometheusExecutorMetrics(metrics, (), 0)
    executor.observe(_unread)
    executor.observe_circuits(_unread)


def _add_timer(metrics: MetricSet) -> None:
    PrometheusTimerMetrics(metrics)
    PrometheusRetentionMetrics(metrics)


def _add_api(metrics: MetricSet) -> None:
    ApiMetrics(metrics, 0)


def _add_store(metrics: MetricSet) -> None:
    add_store(metrics, _unread)
    add_transports(metrics, _unread)


_SERVICES: Final[dict[str, Callable[[MetricSet], object]]] = {
    "worker": _add_worker,
    "executor": _add_executor,
    "timer": _add_timer,
    "api": _add_api,
    "store": _add_store,
    "all": lambda metrics: add_process(metrics, ""),
}
