"""Processes the messages of schedules: load, decide, commit. One commit answers many messages.

Failures are for the caller, which retries and moves messages to the dead letter queue.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from uuid import uuid4

from unspool.definitions.json_value import Json
from unspool.definitions.schedules.event_trigger import EventTrigger
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import StoreError
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome
from unspool.worker.answering import APPLIED, OUT_OF_TURN, Attempt, answer
from unspool.worker.definition_cache import DefinitionCache
from unspool.worker.idempotency_keys import IdempotencyKeys
from unspool.worker.interpreter.decision_builder import with_tenant
from unspool.worker.metrics import WorkerMetrics
from unspool.worker.schedule.archive import ScheduleArchive
from unspool.worker.schedule.builder import EventTriggers
from unspool.worker.schedule.cache import ScheduleCache
from unspool.worker.schedule.decide import Decision, decide
from unspool.worker.schedule.history import StoredSchedule, stored_schedule
from unspool.worker.schedule.keyed_starts import with_keys
from unspool.worker.schedule.rules import Rules
from unspool.worker.schedule.state import ON, ScheduleState
from unspool.worker.steps import in_time
from unspool.worker.tenant_threads import TenantThreads

log = logging.getLogger(__name__)


class ScheduleProcessor:
    """Processes schedules. At any time, at most one caller processes a schedule."""

    def __init__(
        self,
        store: EventStore,
        now: Callable[[], int],
        rules: Rules,
        triggers: DefinitionCache[EventTrigger | None],
        keys: IdempotencyKeys,
        threads: TenantThreads,
        most: int,
        metrics: WorkerMetrics,
        *,
        archive: ScheduleArchive | None,
    ) -> None:
        """Takes the threads for expressions in real jq, and how many states to keep in memory."""
        self._store = store
        self._metrics = metrics
        self._archive = archive
        self._now = now
        self._rules = rules
        self._triggers = triggers
        self._keys = keys
        self._threads = threads
        self._states = ScheduleCache(most)
        self._me = uuid4().hex
        self._made = count()

    async def process(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> None:
        """Answers messages of one schedule, in order."""
        while deliveries:
            try:
                deliveries = await answer(self._store, deliveries, partial(self._attempt, key))
            except BaseException:
                self._states.take(key)  # the commit may have been applied; the stored history shows it
                raise

    async def _attempt(self, key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> Attempt:
        """Decides on messages and commits. A state that is not the present one is not kept."""
        cached = self._states.take(key)
        known = cached or await stored_schedule(self._store, key)
        if known is None:
            log.warning("no such schedule", extra={"action": "orphan_message", "execution": key.id})
            await self._store.acknowledge(deliveries)
            return Attempt(None)
        decision, read = await self._decide(key, known, deliveries)
        if decision.events:
            outcome = await self._apply(key, known, decision, deliveries[:read])
            if outcome in OUT_OF_TURN:
                self._states.put(key, known)
            return Attempt(outcome, deliveries[read:])
        if cached is None or await self._is_current(key, known):
            # Only the present state proves that nothing has to be done.
            await self._store.acknowledge(deliveries[:read])
            self._states.put(key, known)
            return Attempt(None, deliveries[read:])
        return Attempt(Outcome.CONFLICT)

    async def _decide(
        self, key: ExecutionKey, known: StoredSchedule, deliveries: Sequence[Delivery[Message]]
    ) -> tuple[Decision, int]:
        """The decision, and how many of the messages it read."""
        messages = [delivery.body for delivery in deliveries]
        added = 0
        if known.opening is not None and messages[0].kind is not MessageKind.START:
            messages.insert(0, known.opening)  # another worker may have the start message
            added = 1
        triggers = await self._event_triggers(key.tenant, known.state, messages)

        def work() -> Decision:
            return decide(known.state, messages, self._now(), self._rules, triggers, enough=in_time())

        guarded = any(trigger.guarded for trigger in triggers.values())
        decision = await self._threads.run(key, work) if guarded else work()
        return decision, max(0, decision.read - added)

    async def _event_triggers(
        self, tenant: str, state: ScheduleState, messages: Sequence[Message]
    ) -> EventTriggers:
        """The events that start the present version, and those that the messages deploy."""
        refs = {state.workflow} if ON in state.triggers else set()
        for message in messages:
            if message.kind is MessageKind.START:
                refs |= _deployed_with_events(message.body["input"])
            elif message.kind is MessageKind.DEPLOY:
                refs |= _deployed_with_events(message.body)
        triggers = {ref: await self._triggers.of(tenant, ref) for ref in refs if ref is not None}
        return {ref: trigger for ref, trigger in triggers.items() if trigger is not None}

    async def _is_current(self, key: ExecutionKey, known: StoredSchedule) -> bool:
        record = await self._store.execution(key)
        return record is not None and (record.version, record.commit_id) == (
            known.state.version,
            known.commit_id,
        )

    async def _apply(
        self,
        key: ExecutionKey,
        known: StoredSchedule,
        decision: Decision,
        acknowledges: Sequence[Delivery[Message]],
    ) -> Outcome:
        """Commits a decision. Keeps its state if it was applied."""
        decision = await with_keys(self._keys, key.tenant, known.state, decision)
        commit_id = f"{self._me}-{next(self._made)}"
        commit = _commit_of(key, commit_id, known, decision, acknowledges)
        began = time.perf_counter()
        outcome = await self._store.commit(commit)
        self._metrics.committed_schedule(commit.events, outcome, time.perf_counter() - began)
        if outcome not in APPLIED:
            return outcome
        self._states.put(key, StoredSchedule(decision.state, commit_id))
        _log_problems(key, decision.events)
        if decision.obsolete_before:
            with suppress(StoreError):  # the next one does it
                await self._shorten(key, decision.obsolete_before)
        return outcome

    async def _shorten(self, key: ExecutionKey, before: int) -> None:
        """Deletes the events before a number, after they are archived."""
        if self._archive is None or await self._archive.write(self._store, key, before):
            await self._store.trim_history(key, before)


def _deployed_with_events(body: dict[str, Json]) -> set[WorkflowRef]:
    """The definition that a deployment names, if events start it."""
    return {WorkflowRef(*body["workflow"])} if ON in (body["schedule"] or ()) else set()


def _commit_of(
    key: ExecutionKey,
    commit_id: str,
    before: StoredSchedule,
    decision: Decision,
    acknowledges: Sequence[Delivery[Message]],
) -> Commit:
    subscriptions = decision.subscriptions.items()
    return Commit(
        key=key,
        commit_id=commit_id,
        expected_version=before.state.version,
        expected_commit=before.commit_id,
        events=decision.events,
        timers=decision.timers,
        timers_cancelled=decision.timers_cancelled,
        outgoing=tuple(with_tenant(key.tenant, each) for each in decision.outgoing),
        subscriptions=tuple(Subscription(run, index) for run, index in subscriptions if index is not None),
        subscriptions_closed=tuple(run for run, index in subscriptions if index is None),
        index=_index_update(before.state, decision.state),
        acknowledges=tuple(acknowledges),
    )


def _index_update(before: ScheduleState, after: ScheduleState) -> IndexUpdate | None:
    if before.version > 0 and after.status is before.status:
        return None
    return IndexUpdate(after.status, after.started_at if before.version == 0 else None)


def _log_problems(key: ExecutionKey, events: Sequence[Event]) -> None:
    """Warns of what was not started. Faults of a schedule are in no execution (inventory C7)."""
    for event in events:
        if event.type == "occurrences.missed":
            log.warning(
                "occurrences of a schedule were missed, from %s to before %s",
                rfc3339(event.data["from"]),
                rfc3339(event.data["before"]),
                extra={"action": "schedule_missed", "execution": key.id, "trigger": event.task},
            )
        elif event.type == "occurrence.failed":
            log.warning(
                "a schedule could not start an execution; its history says why",  # the cause may quote data
                extra={"action": "schedule_failed", "execution": key.id, "trigger": event.task},
            )
    dropped = [event.data["events"] for event in events if event.type == "correlation.dropped"]
    if dropped:
        log.warning(
            "a schedule holds too many events, so %d incomplete sets were dropped, with %d events",
            len(dropped),
            sum(dropped),
            extra={"action": "events_dropped", "execution": key.id},
        )
