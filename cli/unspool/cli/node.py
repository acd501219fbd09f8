"""A node: the services that run in this process, on one store."""

import asyncio
import os
import socket
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.consumers import TIMERS
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.monitoring.health import ServiceHealth
from unspool.eventstore.monitoring.presence import Presence
from unspool.eventstore.monitoring.tracing import open_traces
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment
from unspool.executor.functions.function_set import NO_FUNCTIONS, FunctionSet

if TYPE_CHECKING:
    from unspool.eventstore.monitoring.monitor import Lag, Monitor
    from unspool.eventstore.monitoring.traces import Traces
    from unspool.executor.metrics import ExecutorMetrics
    from unspool.timer_service.metrics import TimerMetrics
    from unspool.worker.metrics import WorkerMetrics

SERVICES: Final = ("worker", "executor", "timer", "retention", "transports")
"""All services that a node can run."""


class Service(Protocol):
    """A service that runs until it is stopped."""

    async def run(self) -> None:
        """Runs until `stop` is called. Then finishes or releases the work in flight."""

    def stop(self) -> None:
        """Asks the service to finish."""


class Together:
    """Two services that run together; the second one stops when the first one has ended."""

    def __init__(self, first: Service, second: Service) -> None:
        self._first, self._second = first, second

    async def run(self) -> None:
        """See `Service`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._second.run())
            await self._first.run()
            self._second.stop()

    def stop(self) -> None:
        """See `Service`."""
        self._first.stop()


class Node:
    """Runs services while the context is open, and stops them gracefully at its end.

        async with Node(store, url):
            ...

    If a service fails with an exception, the body of the context is cancelled and the exception is raised at
    the end.

    Args:
        store: an open store; the node leaves it open.
        url: the store's URL; calls of tasks to its address are refused.
        environment: holds the settings.
        services: the services to run, of `SERVICES`. A process for one execution runs neither `transports`
            nor `retention`: processes of a deployment do their work together.
        allow: what `run` tasks may run, as `UNSPOOL_ALLOW` lists it; None uses the settings.
        functions: the functions in Python that the executor has.
        only_functions: whether the executor runs these functions and nothing else.
        monitor: gets metrics and health of the services; None if nothing reads them.

    Raises:
        BadSetting: on entering, if a setting is not valid.
    """

    def __init__(
        self,
        store: EventStore,
        url: str,
        *,
        environment: Mapping[str, str] = os.environ,
        services: Collection[str] = ("worker", "executor", "timer"),
        allow: str | None = None,
        functions: FunctionSet = NO_FUNCTIONS,
        only_functions: bool = False,
        monitor: "Monitor | None" = None,
    ) -> None:
        self._store = store
        self._url = url
        self._environment = environment
        self._services = services
        self._allow = allow
        self._functions = functions
        self._only_functions = only_functions
        self._monitor = monitor
        self._name = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(2).hex()}"
        self._stack = AsyncExitStack()
        self._traces: Traces | None = None

    async def __aenter__(self) -> Self:
        openers = {
            "worker": self._open_worker,
            "executor": self._open_executor,
            "timer": self._open_timer,
            "retention": self._open_retention,
            "transports": self._open_transports,
        }
        async with AsyncExitStack() as stack:
            self._traces = open_traces(self._store, self._environment)
            if self._traces is not None:
                stack.push_async_callback(asyncio.to_thread, self._traces.close)
            services = [await openers[name](stack) for name in self._services]
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for service in services:
                group.create_task(service.run())
                stack.callback(service.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    # Import a service only to run it: each needs libraries that the others do not.

    async def _open_worker(self, stack: AsyncExitStack) -> Service:
        from unspool.cli.jq import jq_pool  # noqa: PLC0415
        from unspool.worker.schedule.settings import ScheduleSettings  # noqa: PLC0415
        from unspool.worker.service import WorkerService  # noqa: PLC0415
        from unspool.worker.settings import WorkerSettings  # noqa: PLC0415

        settings = from_environment(WorkerSettings, self._environment)
        jq = stack.enter_context(jq_pool(self._environment))
        schedules = from_environment(ScheduleSettings, self._environment)
        health = self._watched("worker", lambda status: status.age(status.backlog.inbox))
        metrics, spans = self._worker_metrics(), None
        if self._traces is not None:
            from unspool.worker.execution_spans import ExecutionSpans  # noqa: PLC0415
            from unspool.worker.metrics import WithEnds, WorkerMetrics  # noqa: PLC0415

            spans = ExecutionSpans(self._store, self._traces)
            metrics = WithEnds(metrics or WorkerMetrics(), spans.ended)
        worker = WorkerService(
            self._store,
            jq,
            settings,
            self._name,
            schedules=schedules,
            metrics=metrics,
            health=health,
            traceparent_of=None if self._traces is None else self._traces.traceparent,
            payloads=payloads_of(self._environment),
        )
        return worker if spans is None else Together(worker, spans)

    def _worker_metrics(self) -> "WorkerMetrics | None":
        if self._monitor is None:
            return None
        from unspool.worker.prometheus_metrics import PrometheusWorkerMetrics  # noqa: PLC0415

        return PrometheusWorkerMetrics(self._monitor.metrics, self._monitor.settings)

    async def _open_executor(self, stack: AsyncExitStack) -> Service:
        from unspool.cli.jq import jq_pool  # noqa: PLC0415
        from unspool.executor.egress import store_endpoints  # noqa: PLC0415
        from unspool.executor.functions.registration import Registration  # noqa: PLC0415
        from unspool.executor.handlers import default_handlers  # noqa: PLC0415
        from unspool.executor.kinds import BUILT_IN  # noqa: PLC0415
        from unspool.executor.secrets import local_secrets  # noqa: PLC0415
        from unspool.executor.service import ExecutorService  # noqa: PLC0415
        from unspool.executor.settings import ExecutorSettings  # noqa: PLC0415

        settings = from_environment(ExecutorSettings, self._environment)
        if self._allow is not None:
            settings = replace(settings, allow=self._allow, allow_shell=False)
        metrics = self._executor_metrics()
        handlers = default_handlers(
            settings,
            metrics=metrics,
            store=store_endpoints(self._url),
            jq=stack.enter_context(jq_pool(self._environment)),
            secrets=local_secrets(self._environment, settings.secrets_dir, shared=settings.secrets_shared),
            rates=self._store,
            functions=self._functions,
            kinds=() if self._only_functions else tuple(BUILT_IN),
        )
        opened = await stack.enter_async_context(handlers)
        functions = Registration(self._store, self._functions)
        await functions.renew()  # before a worker of this process looks for them
        if self._traces is not None:
            from unspool.executor.task_spans import TracedHandler  # noqa: PLC0415

            opened = {kind: TracedHandler(handler, self._traces) for kind, handler in opened.items()}
        service = ExecutorService(
            self._store,
            opened,
            settings,
            self._name,
            SystemClock(),
            functions,
            metrics=metrics,
            health=self._watched(
                "executor", lambda status: max(map(status.age_of_tasks, service.queues), default=0.0)
            ),
        )
        return service

    def _executor_metrics(self) -> "ExecutorMetrics | None":
        if self._monitor is None:
            return None
        from unspool.definitions.tasks import call_registered  # noqa: PLC0415
        from unspool.executor.kinds import BUILT_IN  # noqa: PLC0415
        from unspool.executor.prometheus_metrics import PrometheusExecutorMetrics  # noqa: PLC0415

        kinds, tenants = {*BUILT_IN, call_registered.KIND}, self._monitor.settings.tenants
        return PrometheusExecutorMetrics(self._monitor.metrics, kinds, tenants)

    async def _open_timer(self, stack: AsyncExitStack) -> Service:  # noqa: ARG002 - as the others
        from unspool.timer_service import TimerService, TimerSettings  # noqa: PLC0415

        settings = from_environment(TimerSettings, self._environment)
        health = self._watched("timer", lambda status: status.timer_late)
        service = TimerService(self._store, settings, self._timer_metrics(), health)
        return Together(service, Presence(self._store, TIMERS, self._name, health))

    def _timer_metrics(self) -> "TimerMetrics | None":
        if self._monitor is None:
            return None
        from unspool.timer_service.prometheus_metrics import PrometheusTimerMetrics  # noqa: PLC0415

        return PrometheusTimerMetrics(self._monitor.metrics)

    async def _open_retention(self, stack: AsyncExitStack) -> Service:  # noqa: ARG002 - as the others
        from unspool.timer_service import RetentionService, RetentionSettings  # noqa: PLC0415

        settings = from_environment(RetentionSettings, self._environment)
        health = ServiceHealth("retention", joins=False)
        payloads = payloads_of(self._environment)
        if self._monitor is None:
            return RetentionService(self._store, settings, health=health, payloads=payloads)
        from unspool.timer_service.prometheus_metrics import PrometheusRetentionMetrics  # noqa: PLC0415

        self._monitor.add(health)
        return RetentionService(
            self._store, settings, PrometheusRetentionMetrics(self._monitor.metrics), health, payloads
        )

    async def _open_transports(self, stack: AsyncExitStack) -> Service:
        from unspool.executor.transports.opening import opened_transports  # noqa: PLC0415

        transports = opened_transports(self._store, self._url, self._environment, self._name)
        service = await stack.enter_async_context(transports)
        if self._monitor is not None:
            self._monitor.add(service.health)
        return service

    def _watched(self, name: str, lag: "Lag") -> ServiceHealth:
        """Returns the health of a service, which the monitor gets."""
        health = ServiceHealth(name)
        if self._monitor is not None:
            self._monitor.add(health, lag)
        return health
