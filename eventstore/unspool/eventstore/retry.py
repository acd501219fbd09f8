"""Retries while the store is unavailable, shared by all services."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from unspool.eventstore.errors import StoreUnavailable

log = logging.getLogger(__name__)

Result = TypeVar("Result")

JITTER: Final = random.Random()  # noqa: S311 - jitter is not a secret
"""Random source of jitter, so that services do not act at the same moment."""


LONGEST_PAUSE: Final = 5.0
"""The longest pause between two attempts, in seconds."""


async def retry_until_available(
    call: Callable[[], Awaitable[Result]], longest_pause: float = LONGEST_PAUSE
) -> Result:
    """Awaits an idempotent call and retries it until the store is available.

    The pauses grow from 50 ms to `longest_pause` seconds, with full jitter, so that a store that is available
    again is not overloaded.
    """
    try:
        return await call()  # usually succeeds, at a fifth of the cost of a retrying call
    except StoreUnavailable as error:
        log.warning("store unavailable: %s", error, extra={"action": "store_unavailable"})

    async def attempt() -> Result:
        return await call()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_random_exponential(multiplier=0.05, max=longest_pause),
        before_sleep=_log_unavailable,
    )
    await asyncio.sleep(JITTER.uniform(0, 0.05))
    result: Result = await retrying(attempt)
    log.info("the store is available again", extra={"action": "store_available"})
    return result


async def run_periodically(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    """Calls `duty` about every `seconds` seconds until cancelled.

    The intervals have jitter, so that services that started at the same moment do not act at the same moment.
    """
    while True:
        # The pause is at most an interval, so that heartbeats resume early after an outage.
        await retry_until_available(duty, min(seconds, LONGEST_PAUSE))
        await asyncio.sleep(seconds * JITTER.uniform(0.8, 1.2))


def _log_unavailable(attempt: RetryCallState) -> None:
    error = attempt.outcome.exception() if attempt.outcome else None
    log.warning(
        "store unavailable: %s",
        error,
        extra={"action": "store_unavailable", "attempt": attempt.attempt_number},
    )
