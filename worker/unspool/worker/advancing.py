"""One execution, one step further, whatever it takes: load, decide, commit."""

import asyncio
import logging
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from unspool.eventstore.errors import NotFound, StoreUnavailable
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message, Outcome
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.worker.plans import Plans
from unspool.worker.states import Remembered, States, just_starting
from unspool.worker.steps import Step, Steps
from unspool.worker.tenant_threads import TenantThreads

log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 3
"""Failures after which a message goes to the dead letters."""

_THREADS: Final = 8
"""Decisions with expressions in real jq that a worker makes at once; most wait for a jq process."""

MOST_CONFLICTS: Final = 8
"""Lost races after which the messages are handed back, for somebody else or for later."""


class Advancer:
    """Advances executions; at any time each by at most one caller."""

    def __init__(self, store: EventStore, plans: Plans, states: States, steps: Steps) -> None:
        self._store = store
        self._plans = plans
        self._states = states
        self._steps = steps
        self._threads = TenantThreads(_THREADS)

    async def answer(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        """Answers messages of one execution, whatever it takes: in the end each is committed or buried."""
        try:
            await retry_until_available(lambda: self._advance(key, deliveries))
        except Exception as error:  # noqa: BLE001 - whatever a message causes must not stop the others
            self._states.forget(key)
            if len(deliveries) == 1:
                await self._failed(key, deliveries[0], error)
                return
            for delivery in deliveries:  # alone, so that the innocent are not buried with the guilty
                await self.answer(key, [delivery])

    async def _failed(self, key: ExecutionKey, delivery: Delivery[Message], error: Exception) -> None:
        """Tries again what failed by a defect or by its data; then it is a dead letter."""
        for attempt in range(delivery.attempts, MOST_ATTEMPTS):
            log.warning(
                "message failed", exc_info=error, extra={"action": "message_failed", "execution": key.id}
            )
            await asyncio.sleep(JITTER.random() * 0.1 * 4**attempt)
            try:
                await retry_until_available(lambda: self._advance(key, [delivery]))
            except Exception as again:  # noqa: BLE001 - the dead letter will tell it
                self._states.forget(key)
                error = again
            else:
                return
        await self.move_to_dead_letters(
            delivery._replace(attempts=max(delivery.attempts, MOST_ATTEMPTS)), error
        )

    async def move_to_dead_letters(self, delivery: Delivery[Message], error: Exception) -> None:
        """Moves a message to the dead letters."""
        execution = delivery.key.id
        log.error(
            "message buried", exc_info=error, extra={"action": "message_buried", "execution": execution}
        )
        cause = "".join(traceback.format_exception_only(error)).strip()
        trace = "".join(traceback.format_exception(error))
        with suppress(NotFound):  # somebody else has settled it meanwhile
            await retry_until_available(
                lambda: self._store.move_to_dead_letters(delivery, cause.splitlines()[0], trace)
            )

    async def _advance(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        for lost in range(MOST_CONFLICTS):
            remembered = self._states.recall(key) or (just_starting(key, deliveries) if lost == 0 else None)
            known = remembered or await self._states.load(key)
            if known is None:
                log.warning("no such execution", extra={"action": "orphan_message", "execution": key.id})
                await self._store.acknowledge(deliveries)
                return
            step = await self._step(key, known, deliveries)
            if step is not None:
                if await self._commit(step):
                    return
            elif remembered is None:
                # Answered before. Only what was just read can tell: to a memory that another worker has
                # overtaken, the answer to what that worker asked would look as pointless.
                await self._store.acknowledge(deliveries)
                return
            self._states.forget(key)
        await self._store.release(deliveries)

    async def _step(
        self, key: ExecutionKey, known: Remembered, deliveries: Sequence[Delivery[Message]]
    ) -> Step | None:
        plan = await self._plans.of(key.tenant, known.workflow)
        if plan.guarded:  # an expression may block for as long as the jq children let it
            work = partial(self._steps.step, key, plan, known, deliveries)
            return await self._threads.run(key.tenant, work)
        return self._steps.step(key, plan, known, deliveries)

    async def _commit(self, step: Step) -> bool:
        """Makes a step true; False if the history had moved on."""
        key = step.commit.key
        try:
            outcome = await self._store.commit(step.commit)
        except StoreUnavailable:
            self._states.forget(key)  # it may have become true; what is stored will tell
            raise
        if outcome is Outcome.CONFLICT:
            return False
        await self._states.keep(step.commit, step.after)
        return True
