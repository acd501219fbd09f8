"""A document of an issuer that is fetched again from time to time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from unspool.api.authentication.issuer_documents import FETCH_SECONDS, UNREADABLE

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 10.0
"""Between the end of a fetch and the next one, so that many tokens and logins cause few of them."""

PATIENCE_SECONDS: Final = 1.0
"""How long a fetch may delay callers for whom the known state would do."""

Value = TypeVar("Value")


class RefetchedDocument(Generic[Value]):
    """The newest state of a document that could be fetched."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Value]],
        seconds: float,
        *,
        problem: str,
        action: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetches nothing yet.

        Args:
            fetch: fetches it; may raise one of `UNREADABLE`.
            seconds: for which it is kept.
            problem: what the log says if it cannot be fetched.
            action: what the log calls this.
            monotonic: a clock in seconds.
        """
        self._fetch = fetch
        self._seconds = seconds
        self._problem = problem
        self._action = action
        self._monotonic = monotonic
        self._newest: Value | None = None
        self._fetched_at = self._tried_at = self._started_at = -float("inf")
        self._fetching: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """The seconds since it was fetched."""
        return self._monotonic() - self._fetched_at

    async def newest(self, suffices: Callable[[Value], bool] = lambda _: True) -> Value | None:
        """Returns the newest state; None if none could ever be fetched.

        Fetches it again if it is old or does not suffice. All callers share one fetch. If it fails, or takes
        long although the last state suffices, they get the last state.
        """
        if not self._has(suffices) and (fetching := self._fetch_of_all()) is not None:
            would_do = self._newest is not None and suffices(self._newest)
            patience = self._started_at + PATIENCE_SECONDS - self._monotonic()
            await asyncio.wait({fetching}, timeout=max(0.0, patience) if would_do else None)
        return self._newest

    def _has(self, suffices: Callable[[Value], bool]) -> bool:
        return self._newest is not None and self.age < self._seconds and suffices(self._newest)

    def _fetch_of_all(self) -> asyncio.Task[None] | None:
        """Returns the fetch that is under way, or begins one; None if the last one has just ended."""
        if self._fetching is None and self._monotonic() - self._tried_at >= PAUSE_SECONDS:
            self._started_at = self._monotonic()
            self._fetching = asyncio.create_task(self._refetch(), name=self._action)
        return self._fetching

    async def _refetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._newest = await self._fetch()
            self._fetched_at = self._monotonic()
        except UNREADABLE as error:
            name = type(error).__name__
            log.warning("%s: %s: %s", self._problem, name, error, extra={"action": self._action})
        finally:
            self._tried_at, self._fetching = self._monotonic(), None
