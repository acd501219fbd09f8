"""A document of an issuer that is fetched again from time to time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from unspool.api.authentication.issuer_documents import UNREADABLE

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 10.0
"""Between two fetches, at least, so that many tokens and logins cause few of them."""

Value = TypeVar("Value")


class RefetchedDocument(Generic[Value]):
    """The newest state of a document that could be fetched."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Value]], seconds: float, *, problem: str, action: str
    ) -> None:
        """Fetches nothing yet.

        Args:
            fetch: fetches it; may raise one of `UNREADABLE`.
            seconds: for which it is kept.
            problem: what the log says if it cannot be fetched.
            action: what the log calls this.
        """
        self._fetch = fetch
        self._seconds = seconds
        self._problem = problem
        self._action = action
        self._newest: Value | None = None
        self._fetched_at = self._tried_at = -float("inf")
        self._fetching = asyncio.Lock()

    @property
    def age(self) -> float:
        """The seconds since it was fetched."""
        return time.monotonic() - self._fetched_at

    async def newest(self, suffices: Callable[[Value], bool] = lambda _: True) -> Value | None:
        """Returns the newest state; None if none could ever be fetched.

        Fetches it again if it is old or does not suffice. If this fails, the last state is returned.
        """
        if not self._has(suffices):
            async with self._fetching:
                if not self._has(suffices) and time.monotonic() - self._tried_at >= PAUSE_SECONDS:
                    await self._refetch()
        return self._newest

    def _has(self, suffices: Callable[[Value], bool]) -> bool:
        return self._newest is not None and self.age < self._seconds and suffices(self._newest)

    async def _refetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._newest, self._fetched_at = await self._fetch(), time.monotonic()
        except UNREADABLE as error:
            name = type(error).__name__
            log.warning("%s: %s: %s", self._problem, name, error, extra={"action": self._action})
