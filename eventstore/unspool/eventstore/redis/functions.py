"""Functions that executors have registered: fields of one hash."""

from collections.abc import Sequence

import orjson

from unspool.eventstore.functions import FORGOTTEN_MILLISECONDS, RegisteredFunction
from unspool.eventstore.redis import keys
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument


class RedisFunctions:
    """The functions of the store."""

    _session: Session

    async def register_functions(self, functions: Sequence[RegisteredFunction]) -> None:
        """See `Functions`."""
        if not functions:
            return
        now = await self._session.milliseconds()
        values: list[Argument] = []
        for each in functions:
            values += (" ".join(each[:3]), orjson.dumps([each.input_schema, each.output_schema, now]))
        await self._session.call("HSET", keys.FUNCTIONS, *values)

    async def functions(self) -> list[RegisteredFunction]:
        """See `Functions`. It deletes those that are forgotten."""
        reply: list[bytes] = await self._session.call("HGETALL", keys.FUNCTIONS)
        if not reply:
            return []
        earliest = await self._session.milliseconds() - FORGOTTEN_MILLISECONDS
        found, forgotten = [], []
        for field, value in zip(reply[::2], reply[1::2], strict=True):
            input_, output, at = orjson.loads(value)
            if at > earliest:
                name, version, queue = field.decode().split(" ")
                found.append(RegisteredFunction(name, version, queue, input_, output, at))
            else:
                forgotten.append(field)
        if forgotten:
            await self._session.call("HDEL", keys.FUNCTIONS, *forgotten)
        return sorted(found, key=lambda each: each[:3])
