"""The delay before a retry (inventory M2-M4).

    constant     delay
    linear       delay · n, or delay + increment · (n - 1)
    exponential  delay · factor^(n - 1); the default factor is 2

for retry n, or as long as the service asks for (`Retry-After`) if that is longer; plus a jitter.
"""

from hashlib import blake2b
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate
from unspool.definitions.tasks.try_catch import Backoff, RetryPolicy
from unspool.worker.interpreter.scope import Scope

LONGEST: Final = 366 * 24 * 3600 * 1000
"""Limit of every backoff in milliseconds: a year."""


def retry_delay(scope: Scope, policy: RetryPolicy, attempt: int, value: Json, least: int = 0) -> int:
    """Milliseconds to wait before a retry.

    Args:
        scope: of the task that retries.
        policy: for retries.
        attempt: the number of the retry, from 1.
        value: the input of the task.
        least: seconds for which the service wants no further call; `maxDelay` does not shorten them.
    """

    def milliseconds(template: DurationTemplate) -> int:
        return scope.duration(template, value).milliseconds_from(scope.builder.now)

    delay = _without_jitter(policy, milliseconds(policy.delay), milliseconds(policy.increment), attempt)
    longest = milliseconds(policy.longest) or LONGEST
    delay = max(min(delay, longest), least * 1000)
    if policy.jitter is not None:
        low, high = sorted(milliseconds(bound) for bound in policy.jitter)
        delay += low + round((high - low) * _fraction(scope, attempt))
    return delay


def _without_jitter(policy: RetryPolicy, delay: int, increment: int, attempt: int) -> int:
    match policy.backoff:
        case Backoff.CONSTANT:
            return delay
        case Backoff.LINEAR:
            return delay + (increment or delay) * (attempt - 1)
        case Backoff.EXPONENTIAL:
            # The exponent is limited, so that a policy without a limit cannot overflow.
            return int(delay * policy.factor ** min(attempt - 1, 64))


def _fraction(scope: Scope, attempt: int) -> float:
    """A pseudorandom number in [0, 1), the same each time this retry is decided."""
    seed = f"{scope.builder.state.execution}/{scope.run.id}/{attempt}".encode()
    return int.from_bytes(blake2b(seed, digest_size=6).digest()) / (1 << 48)
