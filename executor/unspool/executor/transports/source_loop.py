"""What all sources of events share: they read again after failures, and record how they do in the store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from unspool.eventstore.errors import StoreMismatch
from unspool.eventstore.port import EventStore
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.eventstore.waiting import done_before

log = logging.getLogger(__name__)

_RECORD_SECONDS: Final = 30.0
_PAUSES: Final = (0.1, 5.0)


class SourceLoop:
    """Runs one source."""

    def __init__(
        self, store: EventStore, kind: str, name: str, failures: tuple[type[Exception], ...]
    ) -> None:
        """Takes what logs need and what can fail.

        Args:
            store: gets the figures of the source.
            kind: of the source, for logs: `stream` or `channel`.
            name: of the source.
            failures: exceptions that another attempt may repair.
        """
        self.stopping = asyncio.Event()
        self._store = store
        self._kind = kind
        self._name = name
        self._expected = failures
        self._failures = 0
        self._record_at = 0.0

    async def run(self, read: Callable[[], Awaitable[object]]) -> None:
        """Calls `read` until `stopping` is set; again after an exception, with growing pauses."""
        while not self.stopping.is_set():
            try:
                await read()
            except StoreMismatch:  # the store lost its data: no retry helps, so the service ends
                raise
            except self._expected as error:
                await self._failed(in_one_line(error))
            except Exception as error:
                log.exception(
                    "unexpected error of a %s", self._kind, extra={"action": f"{self._kind}_defect"}
                )
                await self._failed(f"unexpected {type(error).__name__}")

    async def record(self, published: int = 0, refused: int = 0) -> None:
        """Records figures, and that the source can be read; without news only from time to time."""
        now = asyncio.get_running_loop().time()
        if self._failures:
            self._failures = 0
            log.info("%s %s is read again", self._kind, self._name, extra=self._extra("works"))
        elif not (published or refused) and now < self._record_at:
            return
        self._record_at = now + _RECORD_SECONDS
        record = partial(self._store.record_source, self._name, published=published, refused=refused)
        await retry_until_available(record)

    async def _failed(self, reason: str) -> None:
        log.warning("%s %s cannot be read: %s", self._kind, self._name, reason, extra=self._extra("failed"))
        self._failures += 1
        await retry_until_available(partial(self._store.record_source, self._name, failure=reason))
        shortest, longest = _PAUSES
        pause = min(longest, shortest * 2 ** min(self._failures, 10)) * JITTER.uniform(0.5, 1.0)
        await done_before(asyncio.sleep(pause), self.stopping.wait())

    def _extra(self, what: str) -> dict[str, str]:
        return {"action": f"{self._kind}_{what}", self._kind: self._name}


def in_one_line(error: Exception) -> str:
    """The message of an error."""
    return " ".join((str(error) or type(error).__name__).split())[:200]
