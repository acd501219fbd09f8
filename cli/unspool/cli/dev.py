"""`unspool dev`: everything in one process."""

import os

import click

from unspool.cli.deployment import deploy_document, identity, listening
from unspool.cli.documents import beside, valid_document
from unspool.cli.logs import start_logging
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.monitoring import metrics_port_option, monitored, monitoring_settings
from unspool.cli.node import SERVICES, Node
from unspool.cli.options import (
    Extensions,
    Place,
    allow_option,
    example,
    functions_option,
    place_options,
)
from unspool.cli.output import say
from unspool.cli.python_functions import loaded_functions
from unspool.cli.serving import configured_hooks, serve_api
from unspool.cli.stores import opened, store_url, without_password
from unspool.eventstore.waiting import done_before


@click.command(epilog=example("unspool dev order.yaml payment.yaml --port 8080"))
@click.argument("files", metavar="[FILE...]", nargs=-1)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the API; default: UNSPOOL_API_PORT, else 8080; 0: a free one.",
)
@allow_option(everything=True)
@functions_option
@metrics_port_option
@place_options
@asynchronous
async def dev(
    files: tuple[str, ...],
    port: int | None,
    allow: str | None,
    functions: Extensions,
    metrics_port: int | None,
    place: Place,
) -> int:
    """Run API, worker, executor and timers in one process, and deploy the FILEs.

    For development: shell commands, scripts and containers are allowed unless --allow or UNSPOOL_ALLOW says
    otherwise. The store is a file in your data directory and is kept; --store sqlite:// uses a store in
    memory, which is lost at the end.
    """
    start_logging(os.environ.get("UNSPOOL_LOG_LEVEL") or "warning")
    loaded = loaded_functions(functions)
    documents = [valid_document(file, loaded.names()) for file in files]
    hooks = configured_hooks()
    url = store_url(place)
    with stop_signals() as stop:
        async with (
            opened(url, writable=True) as store,
            monitored(store, monitoring_settings(metrics_port), url) as monitor,
        ):
            for document in documents:
                await deploy_document(store, place.tenant, document)
                say(f"deployed {identity(document)}")
            environment = beside(files[0]) if files else os.environ
            node = Node(
                store,
                url,
                environment=environment,
                services=SERVICES,
                allow=allow,
                functions=loaded,
                monitor=monitor,
            )
            async with node:
                await done_before(listening(store, place.tenant, documents), stop.wait())
                say(f"store    {without_password(url)}")
                await serve_api(store, stop, monitor=monitor, port=port, hooks=hooks, up=_print_address)
    return 0


def _print_address(address: str) -> None:
    click.echo(address)
    say(f"dashboard at {address}/, API at {address}/api/v1, described at {address}/api/docs; Ctrl-C stops it")
