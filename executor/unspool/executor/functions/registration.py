"""Registers the functions of an executor in the store, so that workers find their queues."""

import time
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.functions import REGISTER_SECONDS, Functions, RegisteredFunction
from unspool.executor.functions.function_set import FunctionSet

_MOST_BYTES: Final = 64 * 1024
"""A larger schema is not registered. It is only for people: the executor itself checks the data."""


class Registration:
    """The registration of some functions, which must be renewed."""

    def __init__(self, store: Functions, functions: FunctionSet) -> None:
        self._store = store
        self.queues = functions.queues
        """The queues of the functions."""
        self._functions = [
            RegisteredFunction(
                each.name, each.version, each.queue, _shown(each.input_schema), _shown(each.output_schema)
            )
            for each in functions
        ]
        self._due_at = 0.0

    async def renew(self) -> None:
        """Registers the functions, if that was not done for `REGISTER_SECONDS`. Raises `StoreError`."""
        if self._functions and time.monotonic() >= self._due_at:
            await self._store.register_functions(self._functions)
            self._due_at = time.monotonic() + REGISTER_SECONDS


def _shown(schema: Json) -> Json:
    return schema if len(orjson.dumps(schema)) <= _MOST_BYTES else None
