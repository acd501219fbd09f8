"""The handler of functions in Python."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from unspool.definitions import errors
from unspool.definitions.spelling import did_you_mean, shown
from unspool.eventstore.records import TaskRequest
from unspool.executor.functions.function_set import FunctionSet, ServedFunction
from unspool.executor.functions.threads import FunctionThreads
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Faulted, Outcome
from unspool.executor.task_context import TaskContext


@asynccontextmanager
async def open_handler(functions: FunctionSet, services: HandlerServices) -> AsyncIterator["FunctionCalls"]:
    """Opens the handler of some functions."""
    async with AsyncExitStack() as stack:
        threads = FunctionThreads(services.settings.function_threads)
        stack.callback(threads.close)
        yield FunctionCalls(functions, threads)


class FunctionCalls:
    """Runs the functions of this executor."""

    def __init__(self, functions: FunctionSet, threads: FunctionThreads) -> None:
        self._functions = functions
        self._threads = threads

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs a function once."""
        function = self._found(request)
        if function is None:
            return Faulted(self._unknown(request))
        input_ = request.arguments["input"]
        outcome: Outcome = await function.target.run(request, input_, context, self._threads)
        return outcome

    def _found(self, request: TaskRequest) -> ServedFunction | None:
        name, version = request.arguments["name"], request.arguments.get("version")
        return self._functions.latest(name) if version is None else self._functions.get(name, version)

    def _unknown(self, request: TaskRequest) -> errors.WorkflowError:
        name, version = request.arguments["name"], request.arguments.get("version")
        called = name if version is None else f"{name}:{version}"
        suggestion = did_you_mean(called, sorted(self._functions.names()))
        return errors.configuration(f"no function '{shown(called)}'{suggestion}", title="Unknown function")
