"""`unspool mcp`: shows workflows and executions to agents."""

import os
from importlib.util import find_spec
from typing import Final

import click

from unspool.cli.actor import current_user
from unspool.cli.exits import CommandError
from unspool.cli.logs import start_logging
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.mcp.allowed import DEFAULT_HOST, DEFAULT_PORT, Allowed
from unspool.cli.options import Place, Seconds, example, target_options
from unspool.cli.targets.opening import opened_target

_MOST_WAIT_SECONDS: Final = 300


@click.command(
    epilog=example(
        "unspool mcp --allow-start", "unspool mcp --http --port 8090 --api https://unspool.example.com"
    )
)
@click.option("--allow-start", is_flag=True, help="Agents may start executions: each workflow is a tool.")
@click.option(
    "--allow-operate",
    is_flag=True,
    help="Agents may cancel, suspend, resume and retry executions, and publish events.",
)
@click.option(
    "--wait",
    type=Seconds(0, _MOST_WAIT_SECONDS),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a start waits for the end of its execution.",
)
@click.option("--http", is_flag=True, help="Serve over streamable HTTP; default: standard input and output.")
@click.option("--host", default=None, help=f"With --http: address to listen on; default: {DEFAULT_HOST}.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"With --http: port; default: {DEFAULT_PORT}; 0: a free one.",
)
@target_options
@asynchronous
async def mcp(
    *,
    allow_start: bool,
    allow_operate: bool,
    wait: float,
    http: bool,
    host: str | None,
    port: int | None,
    place: Place,
) -> int:
    """Serve the Model Context Protocol: agents see workflows and executions, and change nothing.

    With --allow-start they may start executions, with --allow-operate operate them (docs/mcp.md).
    """
    if find_spec("mcp") is None:
        raise CommandError("`unspool mcp` needs a library: pip install 'unspool[mcp]'")
    if not http and (host is not None or port is not None):
        raise click.UsageError("--host and --port go with --http")
    from unspool.cli.mcp.serving import serve_http, serve_stdio  # noqa: PLC0415 - an optional library

    start_logging(os.environ.get("UNSPOOL_LOG_LEVEL") or "warning")
    allowed = Allowed(allow_start, allow_operate, wait)
    by = current_user().replace("cli", "mcp", 1)
    with stop_signals() as stop:
        async with opened_target(place, by) as target:
            if http:
                await serve_http(
                    target, allowed, place, host or DEFAULT_HOST, DEFAULT_PORT if port is None else port, stop
                )
            else:
                await serve_stdio(target, allowed, stop)
    return 0
