"""Metrics and health of the services in this process, and the port on which they are served."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import click

from unspool.cli.config import configuration
from unspool.cli.exits import CommandError
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.process import add_process
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment
from unspool.eventstore.this_process import this_process

CommandT = TypeVar("CommandT", bound=Callable[..., object])


def metrics_port_option(command: CommandT) -> CommandT:
    """Adds `--metrics-port`."""
    return click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        help="Port of /metrics and /health; default: UNSPOOL_METRICS_PORT, else none; 0: none.",
    )(command)


def monitoring_settings(port: int | None) -> MonitoringSettings:
    """Returns the settings; `port` replaces `UNSPOOL_METRICS_PORT`."""
    settings = from_environment(MonitoringSettings, os.environ)
    return settings if port is None else replace(settings, port=port)


@asynccontextmanager
async def monitored(store: EventStore, settings: MonitoringSettings, url: str) -> AsyncIterator[Monitor]:
    """Returns the monitor of this process, and serves what it knows if there is a port.

    `url` is that of the store. The process is not ready until `begun` of the monitor is set.

    Raises:
        CommandError: the address cannot be used.
    """
    monitor = Monitor(store, settings)
    monitor.begun = False
    monitor.configuration = configuration(url)
    add_process(monitor.metrics, this_process().version)
    try:
        if settings.port:
            async with _served(monitor, settings):
                yield monitor
        else:
            yield monitor
    finally:
        await monitor.status.close()


@asynccontextmanager
async def _served(monitor: Monitor, settings: MonitoringSettings) -> AsyncIterator[None]:
    from unspool.api.monitoring import monitoring_app  # noqa: PLC0415 - needed only with a port
    from unspool.api.server import listen, running  # noqa: PLC0415

    try:
        listening = listen(settings)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port} for metrics: {error.strerror}"
        ) from None
    async with running(monitoring_app(monitor), listening):
        yield
