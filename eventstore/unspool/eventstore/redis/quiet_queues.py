"""The queues of an executor that have had no tasks lately.

A blocking read costs Redis about 1 us for each stream and each task. An executor serves a dozen queues in
each shard, but mostly gets tasks of one or two kinds. So it reads only the queues that had tasks in the last
seconds. For the others a second connection waits, without taking entries (XREAD), because this executor may
be full while another one is free.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import StoreError
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.streams import queues

QUIET_SECONDS: Final = 10.0
"""A queue without a task for this time is quiet."""

_FEW_STREAMS: Final = 48
"""One blocking read of so many streams is cheap."""

_BLOCK_SECONDS: Final = 5.0
"""The longest blocking read; after it, more queues can be quiet."""

_KEYS_A_CALL: Final = 1_000


class QuietQueues:
    """Knows which queues are quiet, and notices when they get tasks."""

    def __init__(self, session: Session, consumer: Consumer, woken: Callable[[], None]) -> None:
        """Does nothing before `watch`.

        Args:
            session: the connections.
            consumer: the executor that serves the queues.
            woken: called when there are fewer names in `names`.
        """
        self.names: frozenset[str] = frozenset()
        """The queues that need not be read: they were empty, and the second connection waits for tasks."""
        self._session = session
        self._role = consumer.role
        self._queues = consumer.queues
        self._woken = woken
        self._connection = session.connection(_BLOCK_SECONDS + session.settings.reply_seconds)
        self._shards: Sequence[Shard] = ()
        self._queue_of: dict[str, str] = {}
        """By stream."""
        self._last_ids: dict[str, str] = {}
        """The last entry received from each stream of a quiet queue, when the queue became quiet."""
        self._busy_until: dict[str, float] = {}
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    def use(self, shards: Sequence[Shard]) -> None:
        """Sets the shards of the queues. No queue is quiet until the next read of the second connection."""
        few = len(self._queues) == 1 or len(shards) * len(self._queues) <= _FEW_STREAMS
        self._shards = () if few else tuple(shards)
        self._queue_of = {shard.tasks(queue): queue for shard in self._shards for queue in self._queues}
        self._wake_all()

    def watch(self) -> None:
        """Begins to wait for tasks of quiet queues, if there are many streams."""
        if self._shards and self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch())

    def had_tasks(self, stream: str) -> None:
        """Notes that a stream had entries, so that its queue is not quiet for some time."""
        queue = self._queue_of.get(stream)
        if queue is None:
            return
        self._busy_until[queue] = self._session.monotonic() + QUIET_SECONDS
        if queue in self.names:
            self._wake(queue)

    async def close(self) -> None:
        """Ends the wait."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._connection.close()

    async def _watch(self) -> None:
        while True:
            try:
                await self._wait_once()
            except StoreError:  # until there is a connection again, the executor reads all queues
                self._wake_all()
                await asyncio.sleep(_BLOCK_SECONDS)

    async def _wait_once(self) -> None:
        """Waits until a quiet queue has tasks, or until more queues can be quiet."""
        shards, quiet = self._shards, self._quiet()
        await self._note_last_ids(queues(shards, tuple(quiet)).names)
        if shards is not self._shards:
            return
        self.names = quiet & self._quiet()
        streams = queues(shards, tuple(self.names)).names
        if not streams:
            await asyncio.sleep(_BLOCK_SECONDS)
            return
        reply = await self._connection.call(
            "XREAD", "COUNT", 1, "BLOCK", int(_BLOCK_SECONDS * 1000),
            "STREAMS", *streams, *(self._last_ids[stream] for stream in streams),
        )  # fmt: skip
        for stream, _ in reply or ():
            self.had_tasks(stream.decode())

    def _quiet(self) -> frozenset[str]:
        now = self._session.monotonic()
        return frozenset(queue for queue in self._queues if self._busy_until.get(queue, 0.0) <= now)

    async def _note_last_ids(self, streams: Sequence[str]) -> None:
        """Looks for the last entries of streams whose queues can be quiet from now on."""
        unknown = [stream for stream in streams if stream not in self._last_ids]
        for first in range(0, len(unknown), _KEYS_A_CALL):
            some = unknown[first : first + _KEYS_A_CALL]
            # On the second connection, which must be there before the executor relies on it.
            ids = await self._connection.run(scripts.LAST_IDS, some, (self._role,))
            for stream, id_ in zip(some, ids, strict=True):
                if id_:
                    self._last_ids[stream] = id_.decode()
                else:
                    self.had_tasks(stream)

    def _wake(self, queue: str) -> None:
        """Makes the executor read a quiet queue."""
        for stream in queues(self._shards, (queue,)).names:
            self._last_ids.pop(stream, None)
        self.names -= {queue}
        self._woken()

    def _wake_all(self) -> None:
        self._last_ids.clear()
        if self.names:
            self.names = frozenset()
            self._woken()
