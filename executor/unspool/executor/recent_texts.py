"""Texts that were fetched lately: many executions of one workflow need one request."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from unspool.executor.outcome import FetchedText

MOST_CHARACTERS: Final = 32 * 1024 * 1024
"""Characters of all texts that are kept."""

Fetch = Callable[[], Awaitable[FetchedText]]


class RecentTexts:
    """Keeps texts for some seconds. Calls for a text that is being fetched wait for it."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Takes how long texts are kept; with 0 none is kept."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._texts: OrderedDict[str, tuple[float, FetchedText]] = OrderedDict()
        self._size = 0
        self._fetching: dict[str, asyncio.Task[FetchedText]] = {}

    async def get(self, key: str, fetch: Fetch) -> FetchedText:
        """The text with a key. If it is not kept, `fetch` gets it; what that raises is not kept."""
        if not self._seconds:
            return await fetch()
        self._drop_old()
        if key in self._texts:
            return self._texts[key][1]
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.create_task(self._fetch(key, fetch))
            fetching.add_done_callback(lambda done: self._fetched(key, done))
        # Shielded, because other calls may wait for it when this one is cancelled.
        return await asyncio.shield(fetching)

    async def _fetch(self, key: str, fetch: Fetch) -> FetchedText:
        text = await fetch()
        self._texts[key] = self._monotonic(), text
        self._size += len(text.text)
        return text

    def _fetched(self, key: str, done: asyncio.Task[FetchedText]) -> None:
        del self._fetching[key]
        if not done.cancelled():
            done.exception()  # each call that still waits has it

    def _drop_old(self) -> None:
        now = self._monotonic()
        while self._texts:
            fetched_at, text = next(iter(self._texts.values()))
            if now - fetched_at < self._seconds and self._size <= MOST_CHARACTERS:
                return
            self._texts.popitem(last=False)
            self._size -= len(text.text)

    async def close(self) -> None:
        """Ends the requests that nothing waits for any more."""
        fetching = list(self._fetching.values())
        for each in fetching:
            each.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
