"""When events that could not be sent are sent again."""

import random
from dataclasses import dataclass
from typing import Final

from unspool.executor.transports.sink import NotSent, Refused, Unreachable

_FIRST_PAUSE: Final = 0.5
_MAX_DOUBLINGS: Final = 20


@dataclass(slots=True)
class _Trouble:
    """What a tenant waits for."""

    position: str
    """The events after this position cannot be sent."""
    until: float
    attempts: int
    refusals: int
    unreachable: bool


class Attempts:
    """The failed attempts of one sink, by tenant.

    The pauses grow by powers of two, with jitter. Each tenant has pauses of its own: an event that a sink
    cannot take does not delay the events of others.
    """

    def __init__(self, longest_pause: float, chance: random.Random) -> None:
        self._longest_pause = longest_pause
        self._chance = chance
        self._troubles: dict[str, _Trouble] = {}

    def failed(self, tenant: str, position: str, error: NotSent, now: float) -> int:
        """Notes that the events after a position could not be sent.

        Returns how often the event there was refused in succession.
        """
        before = self._troubles.get(tenant)
        same = before is not None and before.position == position
        attempts = before.attempts + 1 if before is not None and same else 1
        refusals = before.refusals if before is not None and same else 0
        refusals = refusals + 1 if isinstance(error, Refused) else 0
        pause = _FIRST_PAUSE * 2 ** min(attempts - 1, _MAX_DOUBLINGS)
        pause = min(self._longest_pause, pause) * self._chance.uniform(0.5, 1.0)
        until = now + max(pause, error.retry_after)
        unreachable = isinstance(error, Unreachable)
        self._troubles[tenant] = _Trouble(position, until, attempts, refusals, unreachable)
        return refusals

    def succeeded(self, tenant: str) -> bool:
        """Notes that events of a tenant were sent; returns whether attempts had failed before.

        So the sink can be reached, and tenants that wait for that are served again.
        """
        before = self._troubles.pop(tenant, None)
        for trouble in self._troubles.values():
            if trouble.unreachable:
                trouble.until = 0.0
        return before is not None

    def paused(self, now: float) -> frozenset[str]:
        """The tenants that wait for their next attempt."""
        return frozenset(tenant for tenant, trouble in self._troubles.items() if trouble.until > now)

    def next_end(self, now: float, at_most: float) -> float:
        """The seconds until the next pause ends."""
        ends = [trouble.until - now for trouble in self._troubles.values() if trouble.until > now]
        return min([at_most, *ends])
