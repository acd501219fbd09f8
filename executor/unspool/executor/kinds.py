"""The kinds of handlers: each is one module, which is imported when the first task of its kind arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Final

from unspool.definitions import resource
from unspool.definitions.errors import configuration
from unspool.definitions.expressions import JqRunner
from unspool.definitions.tasks import (
    call_a2a,
    call_asyncapi,
    call_grpc,
    call_http,
    call_mcp,
    call_openapi,
    run_container,
    run_script,
    run_shell,
)
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Faulted, Handler, Outcome
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
    jq: JqRunner | None
    """Runs the expressions that do not compile to closures."""


OpenHandler = Callable[[HandlerServices], AbstractAsyncContextManager[Handler]]
"""Opens a handler. What it holds is closed with the context."""

BUILT_IN: Final[Mapping[str, str]] = {
    call_grpc.KIND: "unspool.executor.grpc.call",
    call_a2a.KIND: "unspool.executor.a2a.call",
    call_asyncapi.KIND: "unspool.executor.asyncapi.call",
    call_http.KIND: "unspool.executor.http.call",
    call_openapi.KIND: "unspool.executor.openapi.call",
    call_mcp.KIND: "unspool.executor.mcp.call",
    resource.QUEUE: "unspool.executor.resource",
    run_container.KIND: "unspool.executor.runs.container.handler",
    run_script.KIND: "unspool.executor.runs.script",
    run_shell.KIND: "unspool.executor.runs.shell",
}
"""By kind, the module whose function `open_handler` opens the handler."""

_EXTRAS: Final = {
    "mcp": "mcp",
    "mcp_types": "mcp",
    "grpc": "grpc",
    "google": "grpc",
    "grpc_reflection": "grpc",
}
"""By library, the extra of the package that installs it."""


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
    """A function that imports a module and returns its `open_handler`.

    If the module needs a library that is not installed, the handler answers each task with an error that
    names what to install.
    """

    def imported() -> OpenHandler:
        try:
            found: OpenHandler = import_module(module).open_handler
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            return partial(_without_library, extra)
        return found

    return imported


@asynccontextmanager
async def _without_library(extra: str, _: HandlerServices) -> AsyncIterator[Handler]:
    async def refuse(request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG001 - as all handlers
        detail = f"this executor lacks a library for {request.kind}: pip install 'unspool[{extra}]'"
        return Faulted(configuration(detail, title="Library not installed"))

    yield refuse
