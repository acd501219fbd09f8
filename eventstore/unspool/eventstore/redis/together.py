"""Doing in one script what goes to one shard."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.redis.keys import Keys, Shard

Place = TypeVar("Place", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def by_shard(
    keys: Keys,
    executions: Sequence[ExecutionKey],
    most: int,
    do: Callable[[Shard, list[int]], Awaitable[Sequence[Answer]]],
) -> list[Answer]:
    """Does something for many executions, those of one shard together.

    Args:
        keys: tell the shards.
        executions: for which.
        most: how many of a shard together at most: while a script runs, all others wait for Redis.
        do: does it for some of a shard, given by their places in `executions`; an answer for each.

    Returns:
        The answers, in the order of the executions.
    """
    places: dict[Shard, list[int]] = {}
    for place, execution in enumerate(executions):
        places.setdefault(keys.shard(execution), []).append(place)
    parts = [
        (shard, some[at : at + most]) for shard, some in places.items() for at in range(0, len(some), most)
    ]
    if len(parts) == 1:  # as it is whenever there is little to do: then it is the delay that counts
        return [*await do(*parts[0])]
    done = await asyncio.gather(*(do(shard, some) for shard, some in parts))
    answers: dict[int, Answer] = {}
    for (_, some), of_some in zip(parts, done, strict=True):
        answers.update(zip(some, of_some, strict=True))
    return [answers[place] for place in range(len(executions))]


class Together(Generic[Place, Item, Answer]):
    """Gathers items by place until the event loop's turn ends; then does those of a place in one call."""

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
