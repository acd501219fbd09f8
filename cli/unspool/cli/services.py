"""`unspool worker`, `executor`, `timer` and `api`: one service in a process, for deployments."""

import logging
import os

import click

from unspool.cli.config import configuration
from unspool.cli.logs import start_logging
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.monitoring import metrics_port_option, monitored, monitoring_settings
from unspool.cli.options import Extensions, allow_option, example, functions_option, store_option
from unspool.cli.python_functions import loaded_functions, of_queues
from unspool.cli.settings import ProgramSettings
from unspool.cli.stores import opened
from unspool.eventstore.opening import default_url
from unspool.eventstore.settings import from_environment
from unspool.executor.functions.function_set import NO_FUNCTIONS, FunctionSet
from unspool.executor.settings import ExecutorSettings

log = logging.getLogger(__name__)


@click.command(epilog=example("unspool worker --store redis://localhost:6379/0"))
@metrics_port_option
@store_option
def worker(url: str | None, metrics_port: int | None) -> int:
    """Run a worker. It interprets executions. SIGTERM stops it gracefully."""
    return _serve(["worker"], url, metrics_port)


@click.command(epilog=example("unspool executor --allow shell,script --store redis://localhost:6379/0"))
@allow_option(everything=False)
@functions_option
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="QUEUE",
    help="Run only the functions of this queue, and nothing else (repeatable); default: "
    "UNSPOOL_FUNCTION_QUEUES.",
)
@metrics_port_option
@store_option
def executor(
    functions: Extensions,
    queues: tuple[str, ...],
    url: str | None,
    allow: str | None,
    metrics_port: int | None,
) -> int:
    """Run an executor. It runs calls and commands of tasks, and transports events. SIGTERM stops it.

    With --functions, workflows can call the functions in Python of a module (docs/functions.md).
    """
    start_service_logging()
    queues = queues or tuple(from_environment(ExecutorSettings, os.environ).function_queues.split())
    served = of_queues(loaded_functions(functions), queues)
    services = ["executor"] if queues else ["executor", "transports"]
    return _serve(services, url, metrics_port, allow, served, only_functions=bool(queues))


@click.command(epilog=example("unspool timer --store redis://localhost:6379/0"))
@metrics_port_option
@store_option
def timer(url: str | None, metrics_port: int | None) -> int:
    """Run a timer service. It fires due timers, and deletes ended executions some time after their end.

    SIGTERM stops it gracefully. UNSPOOL_RETENTION says how long executions are kept (docs/retention.md).
    """
    return _serve(["timer", "retention"], url, metrics_port)


@asynchronous
async def _serve(
    services: list[str],
    url: str | None,
    metrics_port: int | None,
    allow: str | None = None,
    functions: FunctionSet = NO_FUNCTIONS,
    *,
    only_functions: bool = False,
) -> int:
    from unspool.cli.node import Node  # noqa: PLC0415 - the API alone needs no engine

    start_service_logging()
    url = url or default_url(os.environ)
    settings = monitoring_settings(metrics_port)
    with stop_signals() as stop:
        async with (
            opened(url, writable=True) as store,
            monitored(store, settings, url) as monitor,
            Node(
                store,
                url,
                services=services,
                allow=allow,
                functions=functions,
                only_functions=only_functions,
                monitor=monitor if settings.port else None,
            ),
        ):
            monitor.begun = True
            log.info("%s is up", services[0], extra={"action": "started", **monitor.configuration})
            await stop.wait()
            monitor.stopping = True
            log.info("%s stops", services[0], extra={"action": "stopping"})
    return 0


@click.command(epilog=example("unspool api --store redis://localhost:6379/0 --host 0.0.0.0 --port 8080"))
@click.option("--host", help="Address to listen on; default: UNSPOOL_API_HOST, else 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; default: UNSPOOL_API_PORT, else 8080; 0: a free one."
)
@metrics_port_option
@store_option
@asynchronous
async def api(host: str | None, port: int | None, url: str | None, metrics_port: int | None) -> int:
    """Serve the HTTP API. SIGTERM stops it gracefully."""
    from unspool.cli.serving import configured_hooks, serve_api  # noqa: PLC0415 - the other services need no server

    start_service_logging()
    hooks = configured_hooks()
    url = url or default_url(os.environ)

    def log_address(address: str) -> None:
        log.info("api is up at %s", address, extra={"action": "started", **configuration(url)})

    with stop_signals() as stop:
        async with (
            opened(url, writable=True) as store,
            monitored(store, monitoring_settings(metrics_port), url) as monitor,
        ):
            await serve_api(store, stop, monitor=monitor, host=host, port=port, hooks=hooks, up=log_address)
    return 0


def start_service_logging() -> None:
    """Starts logging at the level of `UNSPOOL_LOG_LEVEL`."""
    start_logging(from_environment(ProgramSettings, os.environ).log_level)
