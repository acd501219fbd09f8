"""The event loop of a command."""

import asyncio
import functools
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def asynchronous(
    command: Callable[Parameters, Coroutine[Any, Any, Result]],
) -> Callable[Parameters, Result]:
    """A command written as a coroutine; it runs on uvloop where that is installed (the extra `fast`)."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        _collect_seldom()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(command(*args, **kwargs))

    return run


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


def _collect_seldom() -> None:
    """Has cycles looked for less often than by default, and not among modules.

    Nearly all that a service makes is freed by counting. With the defaults a worker under load spends a
    tenth of its time on looking through states it keeps.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that a signal to end sets while the context is open; a second one ends the program."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def leave_to_the_system() -> None:
        for number in _STOPPING:
            loop.remove_signal_handler(number)

    def ask() -> None:
        asked.set()
        leave_to_the_system()

    for number in _STOPPING:
        loop.add_signal_handler(number, ask)
    try:
        yield asked
    finally:
        leave_to_the_system()
