"""One execution, one step further: load, decide, commit."""

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Final
from uuid import uuid4

from unspool.definitions.plan import Plan
from unspool.eventstore.errors import NotFound, StoreUnavailable
from unspool.eventstore.patience import patiently
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message, MessageKind, Outcome, WorkflowRef
from unspool.worker.commits import commit_of
from unspool.worker.interpreter import MOST_EVENTS, Decision, State, decide
from unspool.worker.plans import Plans
from unspool.worker.states import Remembered, States

log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 3
"""Failures after which a message goes to the dead letters (DESIGN §6)."""

MOST_CONFLICTS: Final = 8
"""Lost races after which the messages are handed back, for somebody else or for later."""

LONGEST_DECISION: Final = 0.05
"""Seconds after which a decision leaves the rest to the next."""

_JITTER: Final = random.Random()  # noqa: S311 - spreads load, keeps no secret


class Advancer:
    """Advances executions; at any time each by at most one caller."""

    def __init__(
        self, store: EventStore, plans: Plans, states: States, now: Callable[[], int], error_base: str
    ) -> None:
        self._store = store
        self._plans = plans
        self._states = states
        self._now = now
        self._error_base = error_base
        self._me = uuid4().hex
        self._commits = count()

    async def answer(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        """Answers messages of one execution, whatever it takes: in the end each is committed or buried."""
        try:
            await patiently(lambda: self._advance(key, deliveries))
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
            await asyncio.sleep(_JITTER.random() * 0.1 * 4**attempt)
            try:
                await patiently(lambda: self._advance(key, [delivery]))
            except Exception as again:  # noqa: BLE001 - the dead letter will tell it
                self._states.forget(key)
                error = again
            else:
                return
        await self.bury(delivery, error)

    async def bury(self, delivery: Delivery[Message], error: Exception) -> None:
        """Moves a message to the dead letters."""
        execution = delivery.key.id
        log.error(
            "message buried", exc_info=error, extra={"action": "message_buried", "execution": execution}
        )
        cause = "".join(traceback.format_exception_only(error)).strip()
        trace = "".join(traceback.format_exception(error))
        with suppress(NotFound):  # somebody else has settled it meanwhile
            await patiently(lambda: self._store.bury(delivery, cause.splitlines()[0], trace))

    async def _advance(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        for lost in range(MOST_CONFLICTS):
            remembered = self._states.recall(key) or (_just_starting(key, deliveries) if lost == 0 else None)
            known = remembered or await self._states.load(key)
            if known is None:
                log.warning("no such execution", extra={"action": "orphan_message", "execution": key.id})
                await self._store.acknowledge(deliveries)
                return
            decisions = await self._decide(key, known, deliveries)
            if decisions:
                if await self._commit(key, known, decisions, deliveries):
                    return
            elif remembered is None:
                # Answered before. Only what was just read can tell: to a memory that another worker has
                # overtaken, the answer to what that worker asked would look as pointless.
                await self._store.acknowledge(deliveries)
                return
            self._states.forget(key)
        await self._store.release(deliveries)

    async def _commit(
        self,
        key: ExecutionKey,
        known: Remembered,
        decisions: Sequence[Decision],
        deliveries: Sequence[Delivery[Message]],
    ) -> bool:
        """Makes decisions true; False if the history had moved on."""
        commit_id = f"{self._me}-{next(self._commits)}"
        commit = commit_of(key, commit_id, known.state, decisions, deliveries)
        try:
            outcome = await self._store.commit(commit)
        except StoreUnavailable:
            self._states.forget(key)  # it may have become true; what is stored will tell
            raise
        if outcome is Outcome.CONFLICT:
            return False
        known = Remembered(known.workflow, decisions[-1].state, known.snapshot_version)
        self._states.remember(key, await self._states.snapshot(key, known))
        return True

    async def _decide(
        self, key: ExecutionKey, known: Remembered, deliveries: Sequence[Delivery[Message]]
    ) -> list[Decision]:
        plan = await self._plans.of(key.tenant, known.workflow)
        messages = [delivery.body for delivery in deliveries]
        if known.opening is not None and messages[0].kind is not MessageKind.START:
            messages.insert(0, known.opening)  # overtaken, by a cancellation perhaps
        now = _not_before(self._now(), known.state, messages)
        if plan.guarded:  # an expression may block for as long as the jq children let it
            return await asyncio.to_thread(self._decide_all, plan, known.state, messages, now)
        return self._decide_all(plan, known.state, messages, now)

    def _decide_all(self, plan: Plan, state: State, messages: Sequence[Message], now: int) -> list[Decision]:
        decisions = []
        for message in messages:
            decision = decide(plan, state, message, now, error_base=self._error_base, enough=_in_time())
            if decision.events:
                decisions.append(decision)
                state = decision.state
        return decisions


def _just_starting(key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> Remembered | None:
    """An execution whose first message is here: it tells the whole story, unless it was overtaken."""
    first = deliveries[0]
    if first.body.kind is not MessageKind.START:
        return None
    return Remembered(WorkflowRef(*first.body.body["workflow"]), State(key.id), 0)


def _in_time() -> Callable[[int], bool]:
    """Cuts a decision that takes long: others wait for this event loop."""
    deadline = time.monotonic() + LONGEST_DECISION
    return lambda events: events >= MOST_EVENTS or time.monotonic() > deadline


def _not_before(now: int, state: State, messages: Sequence[Message]) -> int:
    """The time of a decision: a timer fired by the store's clock, and ours may be a little behind it."""
    for message in messages:
        if message.kind is MessageKind.TIMER_FIRED:
            timer = state.timers.get(message.body["timer"])
            now = now if timer is None else max(now, timer.due_at)
    return now
