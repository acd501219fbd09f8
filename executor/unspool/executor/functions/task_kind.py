"""What a package needs that has a kind of call of its own (docs/functions.md, "Kinds of calls").

task = TaskKind("sql", open_handler, schema={"type": "object", "required": ["query"]})

Its entry point is in the group `unspool.tasks`:

[project.entry-points."unspool.tasks"]
sql = "my_package.sql:task"
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from unspool.definitions import errors
from unspool.definitions.data_schema import DataSchema
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.functions.threads import FunctionThreads
from unspool.executor.functions.validation import require
from unspool.executor.kinds import HandlerServices, LazyHandler, OpenHandler
from unspool.executor.outcome import Completed, Faulted, Handler, Outcome, Rejected
from unspool.executor.task_context import TaskContext

__all__ = [
    "Completed",
    "Faulted",
    "Handler",
    "HandlerServices",
    "Outcome",
    "Rejected",
    "TaskContext",
    "TaskKind",
    "TaskRequest",
    "errors",
]

GROUP: Final = "unspool.tasks"
"""The group of the entry points."""

Run = Callable[[TaskRequest, Json, TaskContext], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A kind of call, called as `call: NAME`."""

    name: str
    open_handler: OpenHandler
    """Opens the handler with the first task: an async context manager that takes `HandlerServices`.

    The handler gets the evaluated `with` as `request.arguments`. It raises `Rejected` for an error of the
    workflow. Another exception is a defect: the task is retried, then moved to the dead letter queue.
    """
    schema: Json = None
    """JSON schema of `with`; None accepts every object."""
    version: str = "1.0.0"
    queue: str | None = None
    """For special machines, as that of a function."""


@dataclass(frozen=True, slots=True)
class KindCall:
    """Runs the calls of one kind."""

    kind: TaskKind
    check: DataSchema | None

    def opened(self, services: HandlerServices, stack: AsyncExitStack, threads: FunctionThreads) -> Run:  # noqa: ARG002 - as of functions
        """Returns what runs a call. The handler is opened with the first one."""
        handler = LazyHandler(lambda: self.kind.open_handler, services, stack)
        return partial(self._run, handler)

    async def _run(
        self, handler: LazyHandler, request: TaskRequest, input_: Json, context: TaskContext
    ) -> Outcome:
        what = f"the arguments of {self.kind.name}"
        if not isinstance(input_, dict):
            raise Rejected(errors.validation(f"{what}: at /: the value is not an object"))
        require(self.check, input_, what)
        return await handler(request._replace(arguments=input_), context)
