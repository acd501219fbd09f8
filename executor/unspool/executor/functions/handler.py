"""The handler of functions in Python, and of kinds of calls from packages."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from unspool.definitions.function_name import RegisteredName
from unspool.definitions.tasks import call_registered
from unspool.eventstore.records import TaskRequest
from unspool.executor.functions.absent import AbsentFunctions
from unspool.executor.functions.function_set import FunctionSet, ServedFunction
from unspool.executor.functions.task_kind import Run
from unspool.executor.functions.threads import FunctionThreads
from unspool.executor.kinds import HandlerServices
from unspool.executor.limits.limits import Limits
from unspool.executor.outcome import HandedBack, Outcome
from unspool.executor.task_context import TaskContext


@asynccontextmanager
async def open_handler(functions: FunctionSet, services: HandlerServices) -> AsyncIterator["FunctionCalls"]:
    """Opens the handler of some functions."""
    async with AsyncExitStack() as stack:
        threads = FunctionThreads(services.settings.function_threads)
        stack.callback(threads.close)
        opened = {each.identity: each.target.opened(services, stack, threads) for each in functions}
        absent = AbsentFunctions()
        stack.push_async_callback(absent.close)
        yield FunctionCalls(functions, opened, services.outbound.limits, absent)


class FunctionCalls:
    """Runs the functions of this executor."""

    def __init__(
        self, functions: FunctionSet, opened: Mapping[str, Run], limits: Limits, absent: AbsentFunctions
    ) -> None:
        """Takes what runs each function, by name and version."""
        self._functions = functions
        self._opened = opened
        self._limits = limits
        self._absent = absent

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs a function once. Raises `HandedBack` if this executor does not have it."""
        name, version = request.arguments["name"], request.arguments.get("version")
        function = self._found(request, name, version)
        if function is None:
            await self._absent.wait(RegisteredName(name, version), request.queue, context)
            raise HandedBack
        async with self._limits.call(f"function:{name}"):
            return await self._opened[function.identity](request, request.arguments["input"], context)

    def _found(self, request: TaskRequest, name: str, version: str | None) -> ServedFunction | None:
        """The version that was called or chosen; the latest of this executor if the call leaves it open."""
        chosen = version or request.arguments.get(call_registered.CHOSEN)
        found = None if chosen is None else self._functions.get(name, chosen)
        return self._functions.latest(name) if found is None and version is None else found
