"""Documents that handlers have parsed, by the hash of their text: many calls need one parse."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, Generic, TypeVar

from unspool.executor.task_context import TaskContext

MOST_DOCUMENTS: Final = 50
MOST_CHARACTERS: Final = 64 * 1024 * 1024
"""Characters of the texts of all documents that are kept."""

Parsed = TypeVar("Parsed")


class ParsedDocuments(Generic[Parsed]):
    """Keeps the documents that were used lately. Calls for a document that is being parsed wait for it."""

    def __init__(
        self,
        parse: Callable[[str], Parsed] | Callable[[str], Awaitable[Parsed]],
        most: int = MOST_DOCUMENTS,
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        """Takes the function that parses a text. What it raises is not kept.

        It runs on a thread; if it is a coroutine function, its coroutine runs on the event loop.
        """
        self._parse = parse
        self._most = most
        self._most_characters = most_characters
        self._parsed: OrderedDict[tuple[str, str], asyncio.Task[Parsed]] = OrderedDict()
        self._sizes: dict[tuple[str, str], int] = {}

    async def get(self, context: TaskContext, sha256: str) -> Parsed:
        """The document with a hash. Raises what reading the text and `parse` raise."""
        name = context.tenant, sha256
        task = self._parsed.get(name)
        if task is None:
            task = self._parsed[name] = asyncio.create_task(self._read(context, sha256))
            task.add_done_callback(lambda done: self._forget_failure(name, done))
            self._forget_old()
        else:
            self._parsed.move_to_end(name)
        # Shielded, because other calls may wait for it when this one is cancelled.
        return await asyncio.shield(task)

    async def _read(self, context: TaskContext, sha256: str) -> Parsed:
        text = await context.text(sha256)
        self._sizes[context.tenant, sha256] = len(text)
        self._forget_old()
        parsed: Parsed | Awaitable[Parsed] = await asyncio.to_thread(self._parse, text)
        return await parsed if isawaitable(parsed) else parsed

    def _forget_old(self) -> None:
        """Forgets the documents that were not used for the longest time; one is always kept."""
        while len(self._parsed) > 1 and (
            len(self._parsed) > self._most or sum(self._sizes.values()) > self._most_characters
        ):
            name, _ = self._parsed.popitem(last=False)
            self._sizes.pop(name, None)

    def _forget_failure(self, name: tuple[str, str], done: asyncio.Task[Parsed]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._parsed.get(name) is done:
            del self._parsed[name]
            self._sizes.pop(name, None)
