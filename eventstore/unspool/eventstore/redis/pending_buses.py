"""Which tenants have events that a reader of the buses has not passed, as far as one process knows.

Publishers announce their tenant on a channel. An announcement can be missed, so the process also looks at
each bus from time to time: at a part of them every second. Idle tenants cost no more than that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from math import ceil
from typing import Final

from unspool.eventstore.redis import keys
from unspool.eventstore.redis.keys import Bus
from unspool.eventstore.redis.notifications import ALL_TOPICS, Watch
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.session import Session

_LOOK_SECONDS: Final = 1.0
"""Time between two looks."""

_BUSES_A_LOOK: Final = 64
"""Buses in one look, at least."""

_LOOK_AT_ALL_SECONDS: Final = 10.0
"""In this time the process looks at each bus once."""

_START: Final = b"0-0"


class PendingBuses:
    """The tenants whose bus may have events for a reader, in the order in which they are served."""

    def __init__(self, session: Session, is_pending: Callable[[Bus], Awaitable[bool]]) -> None:
        """`is_pending` returns whether a bus has events that the reader has not passed."""
        self._session = session
        self._is_pending = is_pending
        self._tenants: dict[str, int] = {}
        """Each with the number of its last announcement."""
        self._numbers = count(1)
        self._watch: Watch | None = None
        self._watching = AsyncExitStack()
        self._first = 0
        self._looked_at: float | None = None

    async def refresh(self, *, all_before: bool) -> None:
        """Reads the announcements that have arrived, and looks if it is time.

        With `all_before` it waits for those of all publications that were answered before.
        """
        if self._watch is None or self._watch.over:
            await self._watching.aclose()
            watch = self._session.notifications.watch(keys.PUBLISHED_CHANNEL, ALL_TOPICS)
            self._watch = await self._watching.enter_async_context(watch)
            self._looked_at = None  # announcements before were missed
        elif all_before:
            await self._session.notifications.catch_up()
        self._watch.forget()
        for topic in [*self._watch.topics]:
            del self._watch.topics[topic]
            self.add(topic.decode())
        await self._look()

    async def changed(self, seconds: float) -> None:
        """Returns when something was published, when it is time to look, or after `seconds`."""
        if self._watch is not None:
            await self._watch.changed(min(seconds, _LOOK_SECONDS))

    def tenants(self) -> list[str]:
        """The tenants, the one to be served next first."""
        return [*self._tenants]

    def add(self, tenant: str) -> None:
        """Adds a tenant behind the others, unless it is there."""
        self._tenants[tenant] = next(self._numbers)

    def noted(self, tenant: str) -> int | None:
        """A number that changes when the tenant is added again; None if it is not there."""
        return self._tenants.get(tenant)

    def remove(self, tenant: str, noted: int | None = None) -> None:
        """Removes a tenant: another consumer works on its events, or there are none.

        With the number `noted`, only if the tenant was not added again since.
        """
        if noted is None or self._tenants.get(tenant) == noted:
            self._tenants.pop(tenant, None)

    async def close(self) -> None:
        """Ends the subscription; `changed` returns."""
        if self._watch is not None:
            self._watch.wake(over=True)
        await self._watching.aclose()

    async def _look(self) -> None:
        """Looks at some buses. Over several calls it looks at all of them in turn."""
        now = self._session.monotonic()
        elapsed = _LOOK_AT_ALL_SECONDS if self._looked_at is None else now - self._looked_at
        if elapsed < _LOOK_SECONDS:
            return
        tenants = sorted(await self._session.tenants())
        share = max(_BUSES_A_LOOK, ceil(len(tenants) * min(1.0, elapsed / _LOOK_AT_ALL_SECONDS)))
        self._looked_at, first = now, self._first % len(tenants)
        self._first = first + share
        some = (tenants[first:] + tenants[:first])[:share]
        buses = [self._session.keys.tenant(tenant).bus for tenant in some]
        pending = await asyncio.gather(*(self._is_pending(bus) for bus in buses))
        for tenant, has_events in zip(some, pending, strict=True):
            if has_events:
                self.add(tenant)


def is_after(newest: bytes | None, position: bytes | None) -> bool:
    """Whether a bus has an event after a position: None is no event, and the position before all events."""
    return newest is not None and place_of(newest.decode()) > place_of((position or _START).decode())
