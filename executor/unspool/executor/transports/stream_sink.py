"""A sink that is a Redis stream of limited length."""

from collections.abc import Sequence
from typing import Final

import redis.asyncio
from redis.exceptions import RedisError

from unspool.executor.transports.redis_streams import UNREACHABLE
from unspool.executor.transports.sink import NotSent, Unreachable
from unspool.executor.transports.source_loop import in_one_line

_BATCH: Final = 100


class StreamSink:
    """Appends events to a Redis stream. Each entry has the fields `tenant` and `event`."""

    name = "stream"
    batch = _BATCH

    def __init__(self, client: "redis.asyncio.Redis", key: str, length: int) -> None:
        """`length`: how many entries the stream keeps, about."""
        self._client = client
        self._key = key
        self._length = length

    async def send(self, tenant: str, events: Sequence[bytes]) -> None:
        """See `Sink`."""
        pipeline = self._client.pipeline(transaction=False)
        for event in events:
            entry: dict[str | bytes, str | bytes] = {"tenant": tenant, "event": event}
            pipeline.xadd(self._key, entry, maxlen=self._length, approximate=True)  # type: ignore[arg-type]
        try:
            await pipeline.execute()
        except UNREACHABLE as error:
            raise Unreachable(f"cannot be reached: {in_one_line(error)}") from None
        except RedisError as error:
            raise NotSent(f"refuses: {in_one_line(error)}") from None
