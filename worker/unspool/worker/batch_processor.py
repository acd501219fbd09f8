"""Processes many executions at once: one store call loads them, another commits all decisions.

Under load, most messages are processed in this way. Messages that need more (a long history to fold, a plan
that is not in memory or may block, a failure, a conflict) are left to `ExecutionProcessor`, which processes
one execution at a time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, Delivery, ExecutionKey, Loaded, Message, MessageKind
from unspool.eventstore.results import Outcome
from unspool.worker.answering import APPLIED, OUT_OF_TURN
from unspool.worker.failures import INTERRUPTIONS
from unspool.worker.idempotency_keys import retries_with_key
from unspool.worker.metrics import WorkerMetrics
from unspool.worker.plan_cache import PlanCache
from unspool.worker.resolution import Resolution, concerns
from unspool.worker.resource_cache import ResourceCache
from unspool.worker.state_cache import StateCache, cached_state_of, starting_state
from unspool.worker.steps import Step, Steps

MessagesByExecution = Mapping[ExecutionKey, Sequence[Delivery[Message]]]

_MAX_BATCH_SECONDS: Final = 0.02
"""Seconds of decisions after which the event loop does other work."""


class BatchProcessor:
    """Processes many executions at once. At any time, at most one caller processes an execution."""

    def __init__(
        self,
        store: EventStore,
        plans: PlanCache,
        resources: ResourceCache,
        states: StateCache,
        steps: Steps,
        resolution: Resolution,
        metrics: WorkerMetrics,
    ) -> None:
        self._metrics = metrics
        self._resources = resources
        self._resolution = resolution
        self._store = store
        self._plans = plans
        self._states = states
        self._steps = steps

    async def process(
        self, messages_by_execution: MessagesByExecution
    ) -> dict[ExecutionKey, Sequence[Delivery[Message]]]:
        """Processes the executions that it can. Returns those with a commit, with their unread messages."""
        try:
            loaded = await self._states.load_short(self._missing(messages_by_execution))
        except INTERRUPTIONS:
            raise
        except BaseException:  # noqa: BLE001 - single processing reports the failure of each execution
            return {}
        answered: dict[ExecutionKey, Sequence[Delivery[Message]]] = {}
        left = deque(messages_by_execution.items())
        while left:
            if steps := self._decide(left, loaded):
                answered |= await self._committed(steps)
            else:
                await asyncio.sleep(0)
        return answered

    def _missing(self, messages_by_execution: MessagesByExecution) -> list[ExecutionKey]:
        """The executions of workflows that have a history and are not in memory."""
        return [
            key
            for key in self._states.missing(messages_by_execution)
            if messages_by_execution[key][0].body.kind is not MessageKind.START and not is_built_in(key.id)
        ]

    async def _committed(self, steps: Sequence[Step]) -> dict[ExecutionKey, Sequence[Delivery[Message]]]:
        """Commits steps. Returns the executions whose commit was applied, with their unread messages."""
        try:
            commits = [step.commit for step in steps]
            if any(map(concerns, commits)):
                steps, commits = await self._resolve(steps)
            began = time.perf_counter()
            outcomes = await self._store.commit_all(commits)
            self._metrics.committed(steps, outcomes, time.perf_counter() - began)
        except INTERRUPTIONS:
            raise
        except BaseException:  # noqa: BLE001 - single processing reports it
            outcomes = [Outcome.CONFLICT] * len(steps)
        answered: dict[ExecutionKey, Sequence[Delivery[Message]]] = {}
        for (commit, after, left), outcome in zip(steps, outcomes, strict=True):
            if outcome in APPLIED:
                answered[commit.key] = left
                if self._states.keep(commit, after):
                    await self._states.put_snapshot(commit.key, after)
            elif outcome not in OUT_OF_TURN:
                self._states.forget(commit.key)
        return answered

    async def _resolve(self, steps: Sequence[Step]) -> tuple[list[Step], list[Commit]]:
        """The steps whose sub-workflows and functions can be resolved at once, and their commits."""
        commits = await asyncio.gather(*(self._resolution.resolve_at_once(step.commit) for step in steps))
        resolved = [(step, commit) for step, commit in zip(steps, commits, strict=True) if commit is not None]
        return [step for step, _ in resolved], [commit for _, commit in resolved]

    def _decide(
        self,
        left: deque[tuple[ExecutionKey, Sequence[Delivery[Message]]]],
        loaded: Mapping[ExecutionKey, Loaded],
    ) -> list[Step]:
        """Takes executions until none is left, or the time is over. Returns their steps."""
        steps: list[Step] = []
        began = time.monotonic()
        deadline = began + _MAX_BATCH_SECONDS
        while left:
            key, deliveries = left.popleft()
            step = self._step_unless_it_fails(key, deliveries, loaded.get(key))
            if step is not None:
                steps.append(step)
            if time.monotonic() > deadline:
                break
        if steps:
            self._metrics.decided(time.monotonic() - began)
        return steps

    def _step_unless_it_fails(
        self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]], loaded: Loaded | None
    ) -> Step | None:
        try:
            return self._step(key, deliveries, loaded)
        except INTERRUPTIONS:
            raise
        except BaseException:  # noqa: BLE001 - it fails again in single processing, which reports it
            return None

    def _step(
        self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]], loaded: Loaded | None
    ) -> Step | None:
        known = self._states.get(key) or starting_state(key, deliveries)
        if known is None and loaded is not None:
            known = cached_state_of(loaded)
            if known.state.version != loaded.record.version:
                return None
        if known is None:
            return None
        plan = self._plans.cached(key.tenant, known.workflow)
        if plan is not None and plan.needs_resources:
            messages = [delivery.body for delivery in deliveries]
            plan = self._resources.at_once(key.tenant, plan, known.state, messages)
        if plan is None or plan.guarded or retries_with_key(known.state, deliveries):
            return None
        return self._steps.step(key, plan, known, deliveries)
