"""How long to wait before a retry (inventory M2-M4).

    constant     delay
    linear       delay · n, or delay + increment · (n - 1)
    exponential  delay · factor^(n - 1), factor 2 unless given

for the n-th retry, plus a jitter between its two bounds.
"""

from hashlib import blake2b
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate
from unspool.definitions.tasks.try_catch import Backoff, RetryPolicy
from unspool.worker.interpreter.scope import Scope

LONGEST: Final = 366 * 24 * 3600 * 1000
"""No backoff grows beyond a year, in milliseconds."""


def retry_delay(scope: Scope, policy: RetryPolicy, attempt: int, value: Json) -> int:
    """Milliseconds to wait before the given retry, counted from 1."""

    def milliseconds(template: DurationTemplate) -> int:
        return scope.duration(template, value).milliseconds_from(scope.builder.now)

    delay = _backed_off(policy, milliseconds(policy.delay), milliseconds(policy.increment), attempt)
    longest = milliseconds(policy.longest) or LONGEST
    delay = min(delay, longest)
    if policy.jitter is not None:
        low, high = sorted(milliseconds(bound) for bound in policy.jitter)
        delay += low + round((high - low) * _chance(scope, attempt))
    return delay


def _backed_off(policy: RetryPolicy, delay: int, increment: int, attempt: int) -> int:
    match policy.backoff:
        case Backoff.CONSTANT:
            return delay
        case Backoff.LINEAR:
            return delay + (increment or delay) * (attempt - 1)
        case Backoff.EXPONENTIAL:
            # The exponent is bounded so that an unlimited policy cannot overflow.
            return int(delay * policy.factor ** min(attempt - 1, 64))


def _chance(scope: Scope, attempt: int) -> float:
    """A number in [0, 1) that is chance to the world but the same for everyone who decides this retry."""
    seed = f"{scope.builder.state.execution}/{scope.run.id}/{attempt}".encode()
    return int.from_bytes(blake2b(seed, digest_size=6).digest()) / (1 << 48)
