"""Processes the messages of schedules: load, decide, commit. One message, one commit.

Failures are for the caller, which retries and moves messages to the dead letter queue.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Final
from uuid import uuid4

from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import StoreError
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    Outcome,
)
from unspool.worker.interpreter.decision_builder import with_tenant
from unspool.worker.schedule.decide import Decision, decide
from unspool.worker.schedule.history import StoredSchedule, stored_schedule
from unspool.worker.schedule.rules import Rules
from unspool.worker.schedule.state import ScheduleState

log = logging.getLogger(__name__)

_MAX_CONFLICTS: Final = 8
"""Conflicts after which a message is released, for another worker or for later."""


class ScheduleProcessor:
    """Processes schedules. At any time, at most one caller processes a schedule."""

    def __init__(self, store: EventStore, now: Callable[[], int], rules: Rules, most: int) -> None:
        """`most` is how many states it keeps in memory."""
        self._store = store
        self._now = now
        self._rules = rules
        self._most = most
        self._states: OrderedDict[ExecutionKey, StoredSchedule] = OrderedDict()
        self._me = uuid4().hex
        self._made = count()

    async def process(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        """Answers messages of one schedule, one after the other."""
        for delivery in deliveries:
            try:
                await self._answer(key, delivery)
            except BaseException:
                self._states.pop(key, None)  # the commit may have been applied; the stored history shows it
                raise

    async def _answer(self, key: ExecutionKey, delivery: Delivery[Message]) -> None:
        for _ in range(_MAX_CONFLICTS):
            cached = self._states.pop(key, None)
            known = cached or await stored_schedule(self._store, key)
            if known is None:
                log.warning("no such schedule", extra={"action": "orphan_message", "execution": key.id})
                await self._store.acknowledge([delivery])
                return
            # Another worker may have the start message.
            opening = known.opening if delivery.body.kind is not MessageKind.START else None
            decision = decide(known.state, opening or delivery.body, self._now(), self._rules)
            if decision.events:
                applied = await self._apply(key, known, decision, () if opening else (delivery,))
                if applied and not opening:
                    return
            elif cached is None:  # only a state that was just read proves that it was processed before
                await self._store.acknowledge([delivery])
                return
        await self._store.release([delivery])

    async def _apply(
        self,
        key: ExecutionKey,
        known: StoredSchedule,
        decision: Decision,
        acknowledges: tuple[Delivery[Message], ...],
    ) -> bool:
        """Commits a decision. Returns False on a conflict."""
        commit_id = f"{self._me}-{next(self._made)}"
        commit = _commit_of(key, commit_id, known, decision, acknowledges)
        if await self._store.commit(commit) is Outcome.CONFLICT:
            return False
        self._keep(key, StoredSchedule(decision.state, commit_id))
        _log_missed(key, decision.events)
        if decision.obsolete_before:
            with suppress(StoreError):  # the next one does it
                await self._store.trim_history(key, decision.obsolete_before)
        return True

    def _keep(self, key: ExecutionKey, after: StoredSchedule) -> None:
        if len(self._states) >= self._most:
            self._states.popitem(last=False)
        self._states[key] = after


def _commit_of(
    key: ExecutionKey,
    commit_id: str,
    before: StoredSchedule,
    decision: Decision,
    acknowledges: tuple[Delivery[Message], ...],
) -> Commit:
    return Commit(
        key=key,
        commit_id=commit_id,
        expected_version=before.state.version,
        expected_commit=before.commit_id,
        events=decision.events,
        timers=decision.timers,
        timers_cancelled=decision.timers_cancelled,
        outgoing=tuple(with_tenant(key.tenant, each) for each in decision.outgoing),
        index=_index_update(before.state, decision.state),
        acknowledges=acknowledges,
    )


def _index_update(before: ScheduleState, after: ScheduleState) -> IndexUpdate | None:
    if before.version > 0 and after.status is before.status:
        return None
    return IndexUpdate(after.status, after.started_at if before.version == 0 else None)


def _log_missed(key: ExecutionKey, events: Sequence[Event]) -> None:
    for event in events:
        if event.type == "occurrences.missed":
            log.warning(
                "occurrences of a schedule were missed, from %s to before %s",
                rfc3339(event.data["from"]),
                rfc3339(event.data["before"]),
                extra={"action": "schedule_missed", "execution": key.id, "trigger": event.task},
            )
