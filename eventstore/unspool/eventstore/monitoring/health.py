"""Whether the loops of services run: for health checks, which must tell the truth.

A loop that has ended, fails again and again, or does not go round although the store answers makes its
service not live: only a restart helps. A service that cannot work now, but will, is only not ready.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

Result = TypeVar("Result")

STALLED_SECONDS: Final = 60.0
"""Time after which a loop that did not go round counts as stalled."""

JOINED_SECONDS: Final = 10.0
"""Age of the last heartbeat after which a service counts as not joined."""

HEARTBEAT: Final = "heartbeat"
"""The loop that sends heartbeats."""


class ServiceHealth:
    """The health of the loops of one service."""

    def __init__(
        self, service: str, *, joins: bool = True, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes its name, and whether it sends heartbeats."""
        self.service = service
        self._joins = joins
        self._monotonic = monotonic
        self._turned_at: dict[str, float] = {}
        """By loop, when it has begun or last gone round."""
        self._within: dict[str, float] = {}
        """By loop, the seconds in which it goes round; infinite if that is not known."""
        self._failures: dict[str, str] = {}
        self._joined_at = -math.inf
        self.hindrance: str | None = None
        """Why the service cannot work now although its loops run: an operator must act."""

    async def watch(
        self, loop: str, work: Callable[[], Awaitable[Result]], within: float = math.inf
    ) -> Result:
        """Runs a loop, and notes if it ends before it is cancelled. `within` is for its first round."""
        self._turned_at[loop] = self._monotonic()
        self._within[loop] = within
        try:
            result = await work()
        except asyncio.CancelledError:
            self._turned_at.pop(loop, None)  # the service stops
            raise
        except BaseException as error:
            self._failures[loop] = f"has ended with {type(error).__name__}"
            raise
        self._failures[loop] = "has ended"
        return result

    def turned(self, loop: str, within: float = STALLED_SECONDS) -> None:
        """A loop has gone round. `within` says by when it does so again, in seconds."""
        now = self._monotonic()
        self._turned_at[loop] = now
        self._within[loop] = within
        self._failures.pop(loop, None)
        if loop == HEARTBEAT:
            self._joined_at = now

    def failed(self, loop: str, error: Exception) -> None:
        """A loop has failed, and begins again."""
        self._failures[loop] = f"fails with {type(error).__name__}"

    def broken(self) -> list[str]:
        """The loops that have ended or fail, each as a sentence."""
        return [f"{self.service}: the loop {loop!r} {what}" for loop, what in self._failures.items()]

    def stalled(self, not_before: float) -> list[str]:
        """The loops that do not go round, each as a sentence; time before `not_before` does not count."""
        return [f"{self.service}: the loop {loop!r} does not go round" for loop in self._late(not_before)]

    @property
    def joined(self) -> bool:
        """Whether it has sent a heartbeat lately, if it sends any."""
        return not self._joins or self._monotonic() - self._joined_at < JOINED_SECONDS

    def _late(self, not_before: float) -> Iterator[str]:
        now = self._monotonic()
        for loop, turned_at in self._turned_at.items():
            if now - max(turned_at, not_before) > self._within[loop]:
                yield loop
