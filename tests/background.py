"""Runs calls while a test does something else."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar


class Service(Protocol):
    """A service that runs until it is stopped."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


S = TypeVar("S", bound=Service)


@asynccontextmanager
async def repeating(*calls: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs endless calls until the block ends. If one fails, the block ends at once with its error."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
        yield
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def served(service: S) -> AsyncIterator[S]:
    """Runs a service until the block ends. If it fails, the block ends at once with its error."""
    async with asyncio.TaskGroup() as group:
        group.create_task(service.run())
        try:
            yield service
        finally:
            service.stop()
