"""Waits until an operation, such as `cancel` or `pause`, has taken effect."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import click

from unspool.cli.loop import stop_signals
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
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        default=_WAIT_SECONDS,
        show_default=True,
        help="Exit with 4 after waiting this long.",
    )
    @functools.wraps(command)
    def waiting(*args: object, **options: object) -> Result:
        return command(*args, **options)

    return waiting


async def takes_effect(
    effect: Coroutine[Any, Any, None],
    timeout: float,  # noqa: ASYNC109 - an option of the command
) -> bool:
    """Waits for an effect. Returns False after the timeout or a stop signal."""
    with stop_signals() as stop:
        return await done_before(effect, asyncio.sleep(timeout), stop.wait())
