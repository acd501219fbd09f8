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
    """Turns a coroutine function into a command.

    It runs on uvloop if that is installed (the extra `fast`).
    """

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        _tune_garbage_collection()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(command(*args, **kwargs))

    return run


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


def _tune_garbage_collection() -> None:
    """Makes the garbage collector run less often, and skip the modules that are loaded.

    Reference counting frees nearly all objects of a service. With the defaults, a worker under load spends a
    tenth of its time on collections that traverse its cached states.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Yields an event that SIGINT, SIGTERM or SIGHUP sets. A second signal ends the program."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def restore_default_handlers() -> None:
        for number in _STOPPING:
            loop.remove_signal_handler(number)

    def request_stop() -> None:
        stop.set()
        restore_default_handlers()

    for number in _STOPPING:
        loop.add_signal_handler(number, request_stop)
    try:
        yield stop
    finally:
        restore_default_handlers()
