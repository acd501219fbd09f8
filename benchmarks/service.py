"""One service of the engine as a process: `python -m benchmarks.service ROLE URL`.

The roles are `worker`, `executor`, `fetcher`, `timer` and `retention`. The executor returns the body of a
`call: http` immediately: the engine is measured, not HTTP. A fetcher also fetches schemas.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

from unspool.cli.loop import asynchronous
from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.settings import from_environment
from unspool.executor.outcome import Completed, FetchedText, Handler, Outcome
from unspool.executor.prometheus_metrics import PrometheusExecutorMetrics
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext
from unspool.timer_service import RetentionService, RetentionSettings, TimerService, TimerSettings
from unspool.timer_service.prometheus_metrics import PrometheusTimerMetrics
from unspool.worker.prometheus_metrics import PrometheusWorkerMetrics
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

METRICS = "BENCH_METRICS"
"""The environment variable that turns metrics on."""


async def echo(request: TaskRequest, _: TaskContext) -> Outcome:
    return Completed(request.arguments.get("body"))


async def schema(request: TaskRequest, _: TaskContext) -> Outcome:
    """Fetches a schema of 100 KB, another one for each address."""
    return FetchedText(
        json.dumps({"type": "object", "$comment": request.arguments["endpoint"]["uri"] * 4_000})
    )


HANDLERS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "executor": {"http": echo},
    "fetcher": {"http": echo, "resource": schema},
}


def service(
    role: str, store: EventStore, metrics: MetricSet | None
) -> WorkerService | ExecutorService | TimerService | RetentionService:
    name = f"{role}-{os.getpid()}"
    if role == "worker":
        settings = from_environment(WorkerSettings, os.environ)
        recorded = None if metrics is None else PrometheusWorkerMetrics(metrics, MonitoringSettings())
        return WorkerService(store, JqPool(), settings, name, metrics=recorded)
    if role in HANDLERS:
        of_executor = from_environment(ExecutorSettings, os.environ)
        counted = None if metrics is None else PrometheusExecutorMetrics(metrics, {"http"}, 50)
        return ExecutorService(store, HANDLERS[role], of_executor, name, SystemClock(), metrics=counted)
    if role == "retention":
        of_retention = from_environment(RetentionSettings, os.environ)
        return RetentionService(store, of_retention, payloads=payloads_of(os.environ))
    timers = None if metrics is None else PrometheusTimerMetrics(metrics)
    return TimerService(store, from_environment(TimerSettings, os.environ), timers)


@asynchronous
async def serve(roles: str, url: str) -> None:
    store = await open_store(url, os.environ)
    try:
        metrics = MetricSet() if METRICS in os.environ else None
        services = [service(role, store, metrics) for role in roles.split("+")]
        loop = asyncio.get_running_loop()
        for each in services:
            loop.add_signal_handler(signal.SIGTERM, lambda: [each.stop() for each in services])
        await asyncio.gather(*(each.run() for each in services))
    finally:
        await store.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
