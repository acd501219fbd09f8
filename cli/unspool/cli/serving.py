"""Serves the HTTP API inside a command."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from socket import gethostname
from typing import TYPE_CHECKING

import click

from unspool.api.app import create_app
from unspool.api.engine import Engine
from unspool.api.hooks.configuration import Hooks, read_hooks
from unspool.api.server import listen, serve
from unspool.api.settings import ApiSettings
from unspool.cli.authentication import configured_authenticator
from unspool.cli.exits import CommandError
from unspool.cli.jq import jq_pool
from unspool.cli.terminal import printable
from unspool.definitions.document import MAX_BYTES
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.consumers import APIS
from unspool.eventstore.monitoring.health import ServiceHealth
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.presence import Presence
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.monitoring.tracing import open_traces
from unspool.eventstore.port import EventStore
from unspool.eventstore.regular_files import read_regular
from unspool.eventstore.settings import from_environment
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings

if TYPE_CHECKING:
    from unspool.api.request_spans import RequestSpans

log = logging.getLogger(__name__)


async def serve_api(
    store: EventStore,
    stop: asyncio.Event,
    *,
    monitor: Monitor | None = None,
    host: str | None = None,
    port: int | None = None,
    hooks: Hooks | None = None,
    up: Callable[[str], None],
) -> None:
    """Serves the API on an open store until `stop` is set.

    Args:
        store: an open store; this function leaves it open.
        stop: set it to stop the API gracefully.
        monitor: of this process; the API adds its own metrics and health.
        host: replaces `UNSPOOL_API_HOST`.
        port: replaces `UNSPOOL_API_PORT`; 0 takes a free one.
        hooks: the webhooks, from `configured_hooks`.
        up: called with the URL as soon as connections are accepted.

    Raises:
        CommandError: the address cannot be used, or others can reach it and authentication is not set.
    """
    settings = from_environment(ApiSettings, os.environ)
    settings = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    authenticator = configured_authenticator(store, settings)
    try:
        socket = listen(settings)
    except OSError as error:
        other = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}{other}"
        ) from None
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    monitor = monitor or Monitor(store, from_environment(MonitoringSettings, os.environ))
    with jq_pool(os.environ) as jq:
        async with _present(store, monitor), _request_spans(store) as spans:
            app = create_app(store, Engine(jq), settings, SystemClock(), hooks, monitor, authenticator, spans)
            monitor.begun = True
            up(f"http://{name}:{socket.getsockname()[1]}")
            await serve(app, settings, stop, socket)


@asynccontextmanager
async def _request_spans(store: EventStore) -> AsyncIterator["RequestSpans | None"]:
    """Opens what makes the spans of requests; None without traces, and then nothing is imported."""
    traces = open_traces(store, os.environ)
    if traces is None:
        yield None
        return
    from unspool.api.request_spans import RequestSpans  # noqa: PLC0415 - it imports OpenTelemetry

    try:
        yield RequestSpans(traces)
    finally:
        await asyncio.to_thread(traces.close)


@asynccontextmanager
async def _present(store: EventStore, monitor: Monitor) -> AsyncIterator[None]:
    """Sends the heartbeats of the API while the context is open."""
    health = ServiceHealth("api")
    monitor.add(health, needs_keys=False)
    presence = Presence(store, APIS, f"{gethostname()}-{os.getpid()}-{os.urandom(2).hex()}", health)
    async with asyncio.TaskGroup() as group:
        group.create_task(presence.run(), name="api: heartbeat")
        try:
            yield
        finally:
            presence.stop()


def configured_hooks() -> Hooks:
    """Returns the webhooks in the file that `UNSPOOL_HOOKS` names; none if it is not set.

    Logs a warning for each webhook that has no secret yet. If the file is not valid, prints all its problems.

    Raises:
        BadSetting: a setting is not valid.
        CommandError: the file cannot be read, or is not valid.
    """
    file = from_environment(ApiSettings, os.environ).hooks
    if not file:
        return Hooks()
    secrets = LocalSecrets(os.environ, from_environment(ExecutorSettings, os.environ).secrets_dir)
    try:
        text = read_regular(file, MAX_BYTES)
    except OSError as error:
        raise CommandError(f"UNSPOOL_HOOKS: {file}: {error.strerror}") from None
    try:
        hooks = Hooks(read_hooks(text, file), secrets)
    except DefinitionInvalid as invalid:
        click.echo(printable(str(invalid)), err=True)
        raise CommandError(f"UNSPOOL_HOOKS: {file} is not a valid file of webhooks") from None
    for name in hooks.without_secret():
        log.warning("the webhook '%s' refuses everything: no secret of it has a value", name)
    return hooks
