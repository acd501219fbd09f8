"""The handler of gRPC calls. It loads the libraries of the extra `grpc`, if they are installed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from unspool.definitions.errors import configuration
from unspool.eventstore.records import TaskRequest
from unspool.executor.kinds import HandlerServices, OpenHandler
from unspool.executor.outcome import Faulted, Handler, Outcome
from unspool.executor.task_context import TaskContext

# The core writes what it finds remarkable to standard error, which is for the lines of our log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator[Handler]:
    """Opens the handler. Without the libraries, each call faults."""
    try:
        opened: OpenHandler = import_module("unspool.executor.grpc.call").opened_calls
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"grpc", "grpc_tools", "grpc_reflection", "google"}:
            raise
        yield _not_installed
        return
    async with opened(services) as handler:
        yield handler


async def _not_installed(request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG001 - as all handlers
    detail = "call: grpc needs libraries that this executor does not have: pip install 'unspool[grpc]'"
    return Faulted(configuration(detail, title="Not installed"))
