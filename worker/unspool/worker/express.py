"""The short way: many executions loaded in one call of the store, decided on, and committed in another.

Most messages under load can be answered so. Whatever cannot (a long history to fold, a plan that has to be
loaded or may block, a failure, a lost race) is left for the long way, `Advancer`, which deals with one
execution at a time.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Loaded, Message, MessageKind, Outcome
from unspool.worker.plans import Plans
from unspool.worker.states import States, just_starting, remembered_of
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
        try:
            steps = self._decided(mailboxes, await self._states.load_missing(_begun(mailboxes)))
        except Exception:  # noqa: BLE001 - each will show by itself whose it is
            return set()
        if not steps:
            return set()
        try:
            outcomes = await self._store.commit_all([step.commit for step in steps])
        except Exception:  # noqa: BLE001 - the same
            outcomes = [Outcome.CONFLICT] * len(steps)
        answered = set()
        for (commit, after), outcome in zip(steps, outcomes, strict=True):
            if outcome not in _MADE:
                self._states.forget(commit.key)
                continue
            answered.add(commit.key)
            await self._states.keep(commit, after)
        return answered

    def _decided(self, mailboxes: Mailboxes, loaded: Mapping[ExecutionKey, Loaded]) -> list[Step]:
        """The steps that can be made now."""
        steps: list[Step] = []
        enough = time.monotonic() + _LONGEST_TURN
        for key, deliveries in mailboxes.items():
            with suppress(Exception):  # it will fail again, alone, and be dealt with
                step = self._step(key, deliveries, loaded.get(key))
                if step is not None:
                    steps.append(step)
            if time.monotonic() > enough:
                break
        return steps

    def _step(
        self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]], loaded: Loaded | None
    ) -> Step | None:
        known = self._states.recall(key) or just_starting(key, deliveries)
        if known is None and loaded is not None:
            known = remembered_of(loaded)
            if known.state.version != loaded.record.version:
                return None
        if known is None:
            return None
        plan = self._plans.at_hand(key.tenant, known.workflow)
        if plan is None or plan.guarded:
            return None
        return self._steps.step(key, plan, known, deliveries)


def _begun(mailboxes: Mailboxes) -> Iterator[ExecutionKey]:
    """Those that are not just starting."""
    return (key for key, [first, *_] in mailboxes.items() if first.body.kind is not MessageKind.START)
