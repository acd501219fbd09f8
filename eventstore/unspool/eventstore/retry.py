"""Living with a store that is away for a while: what all services do about it, written once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from unspool.eventstore.errors import StoreUnavailable

log = logging.getLogger(__name__)

Result = TypeVar("Result")

JITTER: Final = random.Random()  # noqa: S311 - spreads load, keeps no secret
"""Chance for pauses, so that what was started together does not act together."""


LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts, at most."""


async def retry_until_available(
    call: Callable[[], Awaitable[Result]], longest_pause: float = LONGEST_PAUSE
) -> Result:
    """Awaits a call that may be repeated, again and again until the store answers.

    The pauses grow from 50 ms to `longest_pause` seconds, with full jitter, so that a store that comes back
    is not overrun.
    """
    try:
        return await call()  # nearly always enough, and a fifth of what a retrying call costs
    except StoreUnavailable as error:
        log.warning("store away: %s", error, extra={"action": "store_away"})

    async def attempt() -> Result:
        return await call()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_random_exponential(multiplier=0.05, max=longest_pause),
        before_sleep=_log_absence,
    )
    await asyncio.sleep(JITTER.uniform(0, 0.05))
    result: Result = await retrying(attempt)
    log.info("the store is back", extra={"action": "store_back"})
    return result


async def run_periodically(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    """Does a duty over and over, about every so many seconds, until cancelled.

    The intervals are jittered: services that were started, or came back, together must not act together.
    """
    while True:
        # Not much longer than an interval: who shows so that it lives must be among the first to come back.
        await retry_until_available(duty, min(seconds, LONGEST_PAUSE))
        await asyncio.sleep(seconds * JITTER.uniform(0.8, 1.2))


def _log_absence(attempt: RetryCallState) -> None:
    error = attempt.outcome.exception() if attempt.outcome else None
    log.warning("store away: %s", error, extra={"action": "store_away", "attempt": attempt.attempt_number})
