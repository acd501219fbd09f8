"""The short way, for what takes nothing but memory: many executions decided on, and committed in one call.

Most messages under load are of that kind. Whatever is not (a state that has to be loaded, a plan that may
block, a failure, a lost race) is left for the long way, `Advancer`, which deals with one execution at a time.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message, Outcome
from unspool.worker.plans import Plans
from unspool.worker.states import States, just_starting
from unspool.worker.steps import Step, Steps

Mailboxes = Mapping[ExecutionKey, Sequence[Delivery[Message]]]

_LONGEST_TURN: Final = 0.02
"""Seconds of decisions after which all else gets its turn."""

_MADE: Final = frozenset({Outcome.COMMITTED, Outcome.DUPLICATE})


class Express:
    """Advances many executions at once; at any time each by at most one caller."""

    def __init__(self, store: EventStore, plans: Plans, states: States, steps: Steps) -> None:
        self._store = store
        self._plans = plans
        self._states = states
        self._steps = steps

    async def answer(self, mailboxes: Mailboxes) -> set[ExecutionKey]:
        """Answers what it can; tells whose messages are answered for good."""
        steps = self._at_hand(mailboxes)
        if not steps:
            return set()
        try:
            outcomes = await self._store.commit_all([step.commit for step in steps])
        except Exception:  # noqa: BLE001 - each will show by itself whose it is
            outcomes = [Outcome.CONFLICT] * len(steps)
        answered = set()
        for (commit, after), outcome in zip(steps, outcomes, strict=True):
            if outcome not in _MADE:
                self._states.forget(commit.key)
                continue
            answered.add(commit.key)
            self._states.remember(commit.key, after)
            if self._states.outgrown(after):
                await self._states.put_snapshot(commit.key, after)
        return answered

    def _at_hand(self, mailboxes: Mailboxes) -> list[Step]:
        """The steps that can be made now."""
        steps: list[Step] = []
        enough = time.monotonic() + _LONGEST_TURN
        for key, deliveries in mailboxes.items():
            with suppress(Exception):  # it will fail again, alone, and be dealt with
                step = self._step(key, deliveries)
                if step is not None:
                    steps.append(step)
            if time.monotonic() > enough:
                break
        return steps

    def _step(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> Step | None:
        known = self._states.recall(key) or just_starting(key, deliveries)
        if known is None:
            return None
        plan = self._plans.at_hand(key.tenant, known.workflow)
        if plan is None or plan.guarded:
            return None
        return self._steps.step(key, plan, known, deliveries)
