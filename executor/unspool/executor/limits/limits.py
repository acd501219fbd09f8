"""Limits the calls of an executor by their target: a host, or a function."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from unspool.definitions.errors import communication
from unspool.eventstore.rate_limits import RateLimits
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.executor.egress import AddressRefused
from unspool.executor.limits.circuit import Circuit, HostUnavailable
from unspool.executor.limits.rules import Rule, rule_of, rules_of
from unspool.executor.metrics import Limit, LimitMetrics
from unspool.executor.outcome import Rejected
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import acquired, before_call, current, parked

_MOST_TARGETS: Final = 10_000
"""Targets whose failures are remembered. The least recently used are forgotten."""

_MOST_RESERVED_SECONDS: Final = 60.0
"""How far ahead a start is reserved. Starts that a stopped executor has reserved are lost."""

NOT_REACHED: Final = (OSError, TimeoutError)
"""Exceptions of a call to which the host gave no answer."""


class NotMade(Rejected):
    """A call was not made, because the one that tried the host got no answer."""


@dataclass(slots=True)
class _Target:
    """What is known of one target."""

    slots: asyncio.Semaphore
    circuit: Circuit
    calls: int = field(default=0)
    """Calls that run or wait."""


class Limits:
    """Limits calls. All executors on the store keep the rates together; the rest is for this executor."""

    def __init__(
        self, settings: ExecutorSettings, rates: RateLimits | None, metrics: LimitMetrics | None = None
    ) -> None:
        """Takes the store of the rates; without one no rate is kept.

        Raises:
            BadSetting: `UNSPOOL_LIMITS` is malformed.
        """
        self._rules = rules_of(settings.limits)
        self._rates = rates
        self._settings = settings
        self._targets: OrderedDict[str, _Target] = OrderedDict()
        self._metrics = metrics or LimitMetrics()
        self._metrics.observe_circuits(self._open_circuits)

    @asynccontextmanager
    async def call(self, target: str) -> AsyncIterator[Callable[[], None]]:
        """Waits until a call to a target may begin. Exceptions of `NOT_REACHED` count as its failures.

        While it waits it holds no slot of the executor, and the task's progress says what it waits for.
        Yields a function for a call that raises another exception: it says that the target has answered.

        Raises:
            NotMade: the host does not answer.
        """
        state = self._target(target)
        state.calls += 1
        try:
            with before_call():
                await self._admit(target, state)
            try:
                async with _watched(state.circuit):
                    await self._wait_for_rate(target)
                    yield state.circuit.succeeded
            finally:
                state.slots.release()
        finally:
            state.calls -= 1

    async def _admit(self, target: str, state: _Target) -> None:
        """Waits for a slot of the target, which the call then holds, and until the target may be called."""
        if state.slots.locked():
            self._metrics.waited(Limit.CONCURRENCY)
        await acquired(state.slots, f"other calls to {target}")
        try:
            await self._enter(target, state.circuit)
        except BaseException:
            state.slots.release()
            raise

    async def _enter(self, target: str, circuit: Circuit) -> None:
        if not circuit.is_closed:
            self._metrics.waited(Limit.CIRCUIT)
        try:
            await circuit.enter(partial(parked, f"{target}, which has not answered"))
        except HostUnavailable:
            self._metrics.refused()
            detail = f"{target} does not answer; this call was not made"
            raise NotMade(communication(detail, title="Host unavailable", status=503)) from None

    async def _wait_for_rate(self, target: str) -> None:
        rule = rule_of(self._rules, target) if self._rules else None
        if rule is None or self._rates is None:
            return
        name = _name_of(rule, target)
        most = int(_MOST_RESERVED_SECONDS * 1_000_000)
        while True:
            wait = await retry_until_available(partial(self._rates.reserve_start, name, rule.rate, most))
            if wait == 0:
                return
            seconds = _MOST_RESERVED_SECONDS * JITTER.uniform(0.5, 1.0) if wait is None else wait / 1_000_000
            self._metrics.waited(Limit.RATE)
            with parked(f"the limit of {target}"):
                await asyncio.sleep(seconds)
            if wait is not None:
                return

    def _open_circuits(self) -> int:
        """How many targets do not answer."""
        return sum(not target.circuit.is_closed for target in self._targets.values())

    def _target(self, name: str) -> _Target:
        found = self._targets.get(name)
        if found is None:
            settings = self._settings
            circuit = Circuit(settings.circuit_failures, settings.circuit_seconds)
            found = self._targets[name] = _Target(asyncio.Semaphore(settings.target_concurrency), circuit)
            self._forget_some()
        else:
            self._targets.move_to_end(name)
        return found

    def _forget_some(self) -> None:
        """Forgets the least recently used target without calls, if there are too many."""
        if len(self._targets) > _MOST_TARGETS:
            unused = next((name for name, target in self._targets.items() if not target.calls), None)
            if unused is not None:
                del self._targets[unused]


def _name_of(rule: Rule, target: str) -> str:
    """The name of the rate that a call of the task that runs takes a start of."""
    context = current.get()
    return f"{target}@{context.tenant}" if rule.for_each_tenant and context is not None else target


@asynccontextmanager
async def _watched(circuit: Circuit) -> AsyncIterator[None]:
    try:
        yield
    except AddressRefused:
        circuit.abandoned()
        raise
    except NOT_REACHED:
        circuit.failed()
        raise
    except BaseException:
        circuit.abandoned()
        raise
    circuit.succeeded()
