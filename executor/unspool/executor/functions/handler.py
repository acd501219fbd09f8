"""The handler of functions in Python."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from unspool.definitions.function_name import RegisteredName
from unspool.definitions.tasks import call_registered
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.retry import JITTER
from unspool.executor.functions.function_set import FunctionSet, ServedFunction
from unspool.executor.functions.threads import FunctionThreads
from unspool.executor.kinds import HandlerServices
from unspool.executor.limits.limits import Limits
from unspool.executor.outcome import HandedBack, Outcome
from unspool.executor.task_context import TaskContext

_PAUSE_SECONDS: Final = 1.0
"""How long a call that this executor cannot run is held. Otherwise it would come back at once."""


@asynccontextmanager
async def open_handler(functions: FunctionSet, services: HandlerServices) -> AsyncIterator["FunctionCalls"]:
    """Opens the handler of some functions."""
    async with AsyncExitStack() as stack:
        threads = FunctionThreads(services.settings.function_threads)
        stack.callback(threads.close)
        yield FunctionCalls(functions, threads, services.outbound.limits)


class FunctionCalls:
    """Runs the functions of this executor."""

    def __init__(self, functions: FunctionSet, threads: FunctionThreads, limits: Limits) -> None:
        self._functions = functions
        self._threads = threads
        self._limits = limits

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs a function once. Raises `HandedBack` if this executor does not have it."""
        name, version = request.arguments["name"], request.arguments.get("version")
        function = self._found(request, name, version)
        if function is None:
            with context.parked(f"an executor with the function {RegisteredName(name, version)}"):
                await asyncio.sleep(_PAUSE_SECONDS * JITTER.uniform(0.5, 1.5))
            raise HandedBack
        async with self._limits.call(f"function:{name}"):
            input_ = request.arguments["input"]
            outcome: Outcome = await function.target.run(request, input_, context, self._threads)
            return outcome

    def _found(self, request: TaskRequest, name: str, version: str | None) -> ServedFunction | None:
        """The version that was called or chosen; the latest of this executor if the call leaves it open."""
        chosen = version or request.arguments.get(call_registered.CHOSEN)
        found = None if chosen is None else self._functions.get(name, chosen)
        return self._functions.latest(name) if found is None and version is None else found
