"""Texts that were fetched lately: many executions of one workflow need one request."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from unspool.executor.outcome import FetchedText
from unspool.executor.shared_calls import SharedCalls

MOST_CHARACTERS: Final = 32 * 1024 * 1024
"""Characters of all texts that are kept."""

Fetch = Callable[[], Awaitable[FetchedText]]

FetchAt = Callable[[str], Awaitable[FetchedText]]
"""Fetches the text at an address. Raises `Rejected`."""


class RecentTexts:
    """Keeps texts for some seconds. Calls for a text that is being fetched wait for it."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Takes how long texts are kept; with 0 none is kept."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._texts: OrderedDict[str, tuple[float, FetchedText]] = OrderedDict()
        self._size = 0
        self._fetches: SharedCalls[FetchedText] = SharedCalls()

    async def get(self, key: str, fetch: Fetch) -> FetchedText:
        """The text with a key. If it is not kept, `fetch` gets it; what that raises is not kept."""
        if not self._seconds:
            return await fetch()
        self._drop_old()
        if key in self._texts:
            return self._texts[key][1]
        return await self._fetches.get(key, partial(self._fetch, key, fetch))

    async def _fetch(self, key: str, fetch: Fetch) -> FetchedText:
        text = await fetch()
        self._texts[key] = self._monotonic(), text
        self._size += len(text.text)
        return text

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
        await self._fetches.close()
