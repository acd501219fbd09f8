"""Calls made in one turn of the event loop, done together."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)
Item = TypeVar("Item")


class Together(Generic[Place, Item]):
    """Gathers items by place until the turn ends; then one call for each place does all that go there."""

    def __init__(self, do: Callable[[Place, list[Item]], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: dict[Place, list[tuple[Item, asyncio.Future[None]]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def add(self, place: Place, item: Item) -> asyncio.Future[None]:
        """Adds an item; the future tells when it is done, or has failed with all that went along."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._leave)
        done = loop.create_future()
        self._waiting.setdefault(place, []).append((item, done))
        return done

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for place, some in waiting.items():
            task = asyncio.create_task(self._carry(place, some))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _carry(self, place: Place, some: list[tuple[Item, asyncio.Future[None]]]) -> None:
        failure: Exception | None = None
        try:
            await self._do(place, [item for item, _ in some])
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            failure = error
        for _, done in some:
            if done.done():  # whoever waited was cancelled
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)
