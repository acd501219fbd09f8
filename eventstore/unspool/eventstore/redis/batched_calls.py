"""One script call for all items of one shard."""

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
    """Calls `do` once for all executions of one shard.

    Args:
        keys: finds the shard of an execution.
        executions: the executions.
        most: executions in one call, at most: Redis serves no other client while a script runs.
        do: takes a shard and indexes into `executions`; returns an answer for each index.

    Returns:
        The answers, in the order of the executions.
    """
    indexes: dict[Shard, list[int]] = {}
    for index, execution in enumerate(executions):
        indexes.setdefault(keys.shard(execution), []).append(index)
    parts = [
        (shard, some[at : at + most]) for shard, some in indexes.items() for at in range(0, len(some), most)
    ]
    if len(parts) == 1:  # the usual case under low load, where latency counts
        return [*await do(*parts[0])]
    done = await asyncio.gather(*(do(shard, some) for shard, some in parts))
    answers: dict[int, Answer] = {}
    for (_, some), of_some in zip(parts, done, strict=True):
        answers.update(zip(some, of_some, strict=True))
    return [answers[index] for index in range(len(executions))]


class BatchedCalls(Generic[Place, Item, Answer]):
    """Collects items by place during one iteration of the event loop, then makes one call for each place."""

    def __init__(self, do: Callable[[Place, list[Item]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        """Starts empty.

        Args:
            do: handles items of one place; returns an answer or an exception for each.
        """
        self._do = do
        self._waiting: dict[Place, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, place: Place, item: Item) -> asyncio.Future[Answer]:
        """Adds an item; returns a future of its answer."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._send)
        answer = loop.create_future()
        self._waiting.setdefault(place, []).append((item, answer))
        return answer

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for place, some in waiting.items():
            task = asyncio.create_task(self._call(place, some))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _call(self, place: Place, some: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._do(place, [item for item, _ in some])
        except Exception as error:  # noqa: BLE001 - raised to the callers
            answers = [error] * len(some)
        for (_, future), answer in zip(some, answers, strict=True):
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
