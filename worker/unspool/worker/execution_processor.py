"""Processes the messages of one execution, with retries: load, decide, commit."""

import asyncio
import logging
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from unspool.definitions.plan import Plan
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.errors import KeyMissing, NotFound, StoreUnavailable
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message
from unspool.eventstore.results import Outcome
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.worker.answering import APPLIED, OUT_OF_TURN, Attempt, answer
from unspool.worker.failures import INTERRUPTIONS
from unspool.worker.idempotency_keys import keeps_its_key, retries_with_key
from unspool.worker.metrics import WorkerMetrics
from unspool.worker.plan_cache import PlanCache
from unspool.worker.refused_starts import Refusals, StartRefused
from unspool.worker.relief import GivenBack
from unspool.worker.resolution import Resolution
from unspool.worker.resource_cache import ResourceCache
from unspool.worker.schedule.processor import ScheduleProcessor
from unspool.worker.state_cache import CachedState, StateCache, starting_state
from unspool.worker.steps import Step, Steps
from unspool.worker.tenant_threads import TenantThreads

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""Failures after which a message goes to the dead letter queue."""

_KEY_MISSING_SECONDS: Final = 2.0
"""How long a worker waits, about, before it returns messages whose execution it cannot decrypt."""


class ExecutionProcessor:
    """Processes executions. At any time, at most one caller processes an execution."""

    def __init__(
        self,
        store: EventStore,
        plans: PlanCache,
        states: StateCache,
        steps: Steps,
        resolution: Resolution,
        threads: TenantThreads,
        schedules: ScheduleProcessor,
        resources: ResourceCache,
        *,
        metrics: WorkerMetrics,
    ) -> None:
        """Takes the threads for decisions with expressions in real jq, and the processor of schedules."""
        self._schedules = schedules
        self._metrics = metrics
        self._resources = resources
        self._resolution = resolution
        self._store = store
        self._plans = plans
        self._states = states
        self._steps = steps
        self._threads = threads

    async def process(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        """Processes messages of one execution. Each is committed or moved to the dead letter queue.

        Raises:
            GivenBack: they wait for another worker now.
        """
        try:
            await retry_until_available(lambda: self._advance(key, deliveries))
        except (GivenBack, *INTERRUPTIONS):
            raise
        except BaseException as error:  # noqa: BLE001 - one message must not stop the others
            self._states.forget(key)
            if len(deliveries) == 1:
                await self._failed(key, deliveries[0], error)
                return
            for delivery in deliveries:  # one by one, so that only the message that fails is moved
                await self.process(key, [delivery])

    async def _failed(self, key: ExecutionKey, delivery: Delivery[Message], error: BaseException) -> None:
        """Retries a message that failed because of a bug or its data; then dead-letters it."""
        for attempt in range(delivery.attempts, MAX_ATTEMPTS):
            log.warning(
                "message failed", exc_info=error, extra={"action": "message_failed", "execution": key.id}
            )
            await asyncio.sleep(JITTER.random() * 0.1 * 4**attempt)
            try:
                await retry_until_available(lambda: self._advance(key, [delivery]))
            except (GivenBack, *INTERRUPTIONS):
                raise
            except BaseException as again:  # noqa: BLE001 - the dead letter holds it
                self._states.forget(key)
                error = again
            else:
                return
        await self.move_to_dead_letters(
            delivery._replace(attempts=max(delivery.attempts, MAX_ATTEMPTS)), error
        )

    async def move_to_dead_letters(self, delivery: Delivery[Message], error: BaseException) -> None:
        """Moves a message to the dead letter queue."""
        execution = delivery.key.id
        log.error(
            "message moved to the dead letter queue",
            exc_info=error,
            extra={"action": "message_dead_lettered", "execution": execution},
        )
        cause = "".join(traceback.format_exception_only(error)).strip()
        trace = "".join(traceback.format_exception(error))
        with suppress(NotFound):  # another worker has finished it meanwhile
            await retry_until_available(
                lambda: self._store.move_to_dead_letters(delivery, cause.splitlines()[0], trace)
            )
            self._metrics.dead_lettered()

    async def _advance(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        try:
            await self._answer_all(key, deliveries)
        except KeyMissing as error:  # another worker may have the key; this one has others to serve
            log.warning("%s", error, extra={"action": "key_missing", "execution": key.id})
            await asyncio.sleep(JITTER.uniform(0.5, 1.0) * _KEY_MISSING_SECONDS)
            await self._store.release(deliveries)

    async def _answer_all(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        if is_built_in(key.id):
            await self._schedules.process(key, deliveries)
            return
        while deliveries:
            deliveries = await self._answer(key, deliveries)

    async def _answer(
        self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]
    ) -> Sequence[Delivery[Message]]:
        """Answers messages with one commit. Returns the messages that need another commit."""
        assumed = starting_state(key, deliveries)

        async def attempt(some: Sequence[Delivery[Message]]) -> Attempt:
            nonlocal assumed
            known, assumed = self._states.get(key) or assumed, None
            return await self._attempt(key, known, some)

        return await answer(self._store, deliveries, attempt)

    async def _attempt(
        self, key: ExecutionKey, cached: CachedState | None, deliveries: Sequence[Delivery[Message]]
    ) -> Attempt:
        known = cached or await self._states.load(key)
        if known is None:
            log.warning("no such execution", extra={"action": "orphan_message", "execution": key.id})
            await self._store.acknowledge(deliveries)
            return Attempt(None)
        lost_key = await self._retries_without_key(key, known, deliveries)
        if lost_key:
            await self._store.acknowledge(lost_key)
            return Attempt(None, [delivery for delivery in deliveries if delivery not in lost_key])
        step, outcome = await self._committed(key, known, deliveries)
        if step is None and cached is None:
            # The messages were processed before. Only a state that was just read proves that. A cached
            # state may be older than another worker's commit, whose task results then seem unexpected.
            await self._answer_without_step(key, known, deliveries)
            return Attempt(None)
        if step is None or outcome not in APPLIED | OUT_OF_TURN:
            self._states.forget(key)
            return Attempt(Outcome.CONFLICT)
        return Attempt(outcome, step.left)

    async def _answer_without_step(
        self, key: ExecutionKey, known: CachedState, deliveries: Sequence[Delivery[Message]]
    ) -> None:
        """Acknowledges messages that change nothing, after their answers, if any, are sent."""
        plan = await self._plan(key, known, deliveries)
        for reply in self._steps.answers(plan, known, deliveries):
            await self._store.send(key.tenant, reply)
        await self._store.acknowledge(deliveries)

    async def _retries_without_key(
        self, key: ExecutionKey, known: CachedState, deliveries: Sequence[Delivery[Message]]
    ) -> list[Delivery[Message]]:
        """The retries that cannot take place, because another execution has the idempotency key by now."""
        retries = retries_with_key(known.state, deliveries)
        if not retries or await keeps_its_key(self._store, key, known.workflow, known.state):
            return []
        log.warning("not retried: no key", extra={"action": "retry_without_key", "execution": key.id})
        return retries

    async def _committed(
        self, key: ExecutionKey, known: CachedState, deliveries: Sequence[Delivery[Message]]
    ) -> tuple[Step | None, Outcome | None]:
        """Makes a step and commits it.

        Decides again if a sub-workflow that no task waits for cannot start.
        """
        refused, at = Refusals(), None
        while (step := await self._step(key, known, deliveries, refused, at)) is not None:
            try:
                return step, await self._commit(step)
            except StartRefused as cause:
                refused.add(cause)
                at = step.commit.events[0].time
        return None, None

    async def _step(
        self,
        key: ExecutionKey,
        known: CachedState,
        deliveries: Sequence[Delivery[Message]],
        refused: Refusals,
        at: int | None,
    ) -> Step | None:
        plan = await self._plan(key, known, deliveries)
        work = partial(self._steps.step, key, plan, known, deliveries, refused, at)
        began = time.perf_counter()
        try:
            if plan.guarded:  # an expression may block until the time limit of jq ends it
                return await self._threads.run(key, work)
            return work()
        finally:
            self._metrics.decided(time.perf_counter() - began)

    async def _plan(
        self, key: ExecutionKey, known: CachedState, deliveries: Sequence[Delivery[Message]]
    ) -> Plan:
        """The plan of an execution, with the external resources that it has fetched."""
        plan = await self._plans.of(key.tenant, known.workflow)
        if not plan.needs_resources:
            return plan
        messages = [delivery.body for delivery in deliveries]
        return await self._resources.plan(key.tenant, plan, known.state, messages)

    async def _commit(self, step: Step) -> Outcome:
        """Commits a step. Keeps its state if it was applied."""
        key = step.commit.key
        try:
            commit = await self._resolution.resolve(step.commit)
            began = time.perf_counter()
            outcome = await self._store.commit(commit)
        except StoreUnavailable:
            self._states.forget(key)  # the commit may have been applied; the stored history shows it
            raise
        self._metrics.committed([step], [outcome], time.perf_counter() - began)
        if outcome in APPLIED and self._states.keep(step.commit, step.after):
            await self._states.put_snapshot(key, step.after)
        return outcome
