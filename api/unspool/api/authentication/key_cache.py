"""Keys that were read lately, so that not every request reads the store."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from unspool.eventstore.api_keys import ApiKey, ApiKeys

MOST_KEYS: Final = 1024
"""How many keys a process remembers. Ids that are no key are not remembered, so they displace none."""


class KeyCache:
    """Keys by their id. A change in the store is seen after `seconds` at the latest."""

    def __init__(
        self, store: ApiKeys, seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    def known(self, id_: str) -> ApiKey | None:
        """Returns a key that was read lately, without reading the store."""
        read_at, key = self._known.get(id_, (0.0, None))
        return key if key is not None and self._monotonic() - read_at < self._seconds else None

    async def key(self, id_: str) -> ApiKey | None:
        """Returns a key; None if there is none with this id."""
        known = self.known(id_)
        if known is not None:
            return known
        read_at = self._monotonic()
        key = await self._store.api_key(id_)
        self._known.pop(id_, None)
        if key is not None:
            self._known[id_] = read_at, key
            if len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)
        return key

    def forget(self, id_: str) -> None:
        """Makes the next request with this key read the store."""
        self._known.pop(id_, None)
