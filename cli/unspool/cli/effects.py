"""Waits until an operation, such as `cancel` or `pause`, has taken effect."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import click

from unspool.cli.loop import stop_signals
from unspool.cli.options import Seconds
from unspool.cli.targets.port import Operated
from unspool.eventstore.waiting import done_before

_WAIT_SECONDS: Final = 10.0

Result = TypeVar("Result")


def wait_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--wait/--no-wait` and `--timeout`; the command receives them as `wait` and `timeout`."""

    @click.option(
        "--wait/--no-wait", default=True, show_default=True, help="Wait until a worker has applied it."
    )
    @click.option(
        "--timeout",
        type=Seconds(min=0),
        metavar="SECONDS",
        default=_WAIT_SECONDS,
        show_default=True,
        help="Exit with 4 after waiting this long.",
    )
    @functools.wraps(command)
    def waiting(*args: object, **options: object) -> Result:
        return command(*args, **options)

    return waiting


async def requested(operation: Coroutine[Any, Any, Operated]) -> Operated | None:
    """Requests an operation and waits for its effect. Returns None after a stop signal."""
    operated: list[Operated] = []

    async def request() -> None:
        operated.append(await operation)

    with stop_signals() as stop:
        await done_before(request(), stop.wait())
    return next(iter(operated), None)
