"""Calls made in one turn of the event loop, done together."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Together(Generic[Place, Item, Answer]):
    """Gathers items by place until the turn ends; then one call for each place does all that go there."""

    def __init__(self, do: Callable[[Place, list[Item]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        """Nothing is gathered yet.

        Args:
            do: does items of one place; gives an answer for each, or what went wrong with it.
        """
        self._do = do
        self._waiting: dict[Place, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def add(self, place: Place, item: Item) -> asyncio.Future[Answer]:
        """Adds an item; the future is its answer."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._leave)
        answer = loop.create_future()
        self._waiting.setdefault(place, []).append((item, answer))
        return answer

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for place, some in waiting.items():
            task = asyncio.create_task(self._carry(place, some))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _carry(self, place: Place, some: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._do(place, [item for item, _ in some])
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            answers = [error] * len(some)
        for (_, future), answer in zip(some, answers, strict=True):
            if future.done():  # whoever waited was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
