"""Documents that handlers have parsed, by the hash of their text: many calls need one parse."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from unspool.executor.task_context import TaskContext

MOST_DOCUMENTS: Final = 50

Parsed = TypeVar("Parsed")


class ParsedDocuments(Generic[Parsed]):
    """Keeps the documents that were used lately. Calls for a document that is being parsed wait for it."""

    def __init__(self, parse: Callable[[str], Parsed], most: int = MOST_DOCUMENTS) -> None:
        """Takes the function that parses a text. It runs on a thread, and what it raises is not kept."""
        self._parse = parse
        self._most = most
        self._parsed: OrderedDict[tuple[str, str], asyncio.Task[Parsed]] = OrderedDict()

    async def get(self, context: TaskContext, sha256: str) -> Parsed:
        """The document with a hash. Raises what reading the text and `parse` raise."""
        name = context.tenant, sha256
        task = self._parsed.get(name)
        if task is None:
            task = self._parsed[name] = asyncio.create_task(self._read(context, sha256))
            task.add_done_callback(lambda done: self._forget_failure(name, done))
            if len(self._parsed) > self._most:
                self._parsed.popitem(last=False)
        else:
            self._parsed.move_to_end(name)
        # Shielded, because other calls may wait for it when this one is cancelled.
        return await asyncio.shield(task)

    async def _read(self, context: TaskContext, sha256: str) -> Parsed:
        return await asyncio.to_thread(self._parse, await context.text(sha256))

    def _forget_failure(self, name: tuple[str, str], done: asyncio.Task[Parsed]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._parsed.get(name) is done:
            del self._parsed[name]
