"""Metrics of the services in this process, and the port on which they are served."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import TypeVar

import click

from unspool.cli.exits import CommandError
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.monitoring.process import add_process
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.settings import from_environment

CommandT = TypeVar("CommandT", bound=Callable[..., object])


def metrics_port_option(command: CommandT) -> CommandT:
    """Adds `--metrics-port`."""
    return click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        help="Port of /metrics and /health; default: UNSPOOL_METRICS_PORT, else none; 0: none.",
    )(command)


def process_metrics() -> MetricSet:
    """Returns the metrics of this process, for the services in it to add theirs."""
    metrics = MetricSet()
    add_process(metrics, version("unspool"))
    return metrics


def monitoring_settings(port: int | None) -> MonitoringSettings:
    """Returns the settings; `port` replaces `UNSPOOL_METRICS_PORT`."""
    settings = from_environment(MonitoringSettings, os.environ)
    return settings if port is None else replace(settings, port=port)


@asynccontextmanager
async def served_metrics(metrics: MetricSet | None, settings: MonitoringSettings) -> AsyncIterator[None]:
    """Serves metrics on a port of their own while the context is open; does nothing without a port.

    Raises:
        CommandError: the address cannot be used.
    """
    if metrics is None or not settings.port:
        yield
        return
    from unspool.api.monitoring import monitoring_app  # noqa: PLC0415 - needed only with a port
    from unspool.api.server import listen, running  # noqa: PLC0415

    try:
        listening = listen(settings)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port} for metrics: {error.strerror}"
        ) from None
    async with running(monitoring_app(metrics), listening):
        yield
