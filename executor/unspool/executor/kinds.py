"""The kinds of handlers: each is one module, which is imported when the first task of its kind arrives."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from unspool.definitions import resource
from unspool.definitions.tasks import (
    call_asyncapi,
    call_grpc,
    call_http,
    call_openapi,
    run_script,
    run_shell,
)
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Handler, Outcome
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext


@dataclass(frozen=True, slots=True)
class HandlerServices:
    """What handlers share."""

    settings: ExecutorSettings
    outbound: Outbound
    groups: ProcessGroups
    authentication: Authentication


OpenHandler = Callable[[HandlerServices], AbstractAsyncContextManager[Handler]]
"""Opens a handler. What it holds is closed with the context."""

BUILT_IN: Final[Mapping[str, str]] = {
    call_grpc.KIND: "unspool.executor.grpc.handler",
    call_asyncapi.KIND: "unspool.executor.asyncapi.call",
    call_http.KIND: "unspool.executor.http.call",
    call_openapi.KIND: "unspool.executor.openapi.call",
    resource.QUEUE: "unspool.executor.resource",
    run_script.KIND: "unspool.executor.runs.script",
    run_shell.KIND: "unspool.executor.runs.shell",
}
"""By kind, the module whose function `open_handler` opens the handler."""


class LazyHandler:
    """Opens a handler with its first task."""

    def __init__(
        self, open_handler: Callable[[], OpenHandler], services: HandlerServices, stack: AsyncExitStack
    ) -> None:
        """Takes a function that imports the handler's module, and the context that closes the handler."""
        self._open_handler = open_handler
        self._services = services
        self._stack = stack
        self._handler: Handler | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs a task."""
        handler = self._handler or await self._opened()
        return await handler(request, context)

    async def _opened(self) -> Handler:
        async with self._lock:
            if self._handler is None:
                open_handler = await asyncio.to_thread(self._open_handler)
                self._handler = await self._stack.enter_async_context(open_handler(self._services))
            return self._handler


def opener(module: str) -> Callable[[], OpenHandler]:
    """A function that imports a module and returns its `open_handler`."""

    def imported() -> OpenHandler:
        found: OpenHandler = import_module(module).open_handler
        return found

    return imported
