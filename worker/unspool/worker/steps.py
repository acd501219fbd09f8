"""A step: the decisions on some messages of an execution, and the one commit that stores them."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple
from uuid import uuid4

from unspool.definitions.expressions import LimitExceeded, json_size
from unspool.definitions.plan import Plan
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import IndexEntry, Subscription
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    Outgoing,
    PublishEvent,
    SendMessage,
    TagUpdate,
)
from unspool.eventstore.tags import NO_TAGS
from unspool.worker.interpreter import MAX_EVENTS, Decision, State, decide
from unspool.worker.interpreter.decision_builder import MAX_DECISION_SIZE, with_tenant
from unspool.worker.interpreter.refusals import Refused, none_refused
from unspool.worker.lifecycle import lifecycle_events
from unspool.worker.state_cache import CachedState

MAX_DECISION_SECONDS: Final = 0.05
"""Seconds after which a decision is cut; another decision continues it."""


class Step(NamedTuple):
    """A step that can be committed."""

    commit: Commit
    after: CachedState
    """The state of the execution after the commit."""
    left: Sequence[Delivery[Message]] = ()
    """Messages that the commit does not answer, because it is large enough; they are for the next step."""


class Steps:
    """Makes steps. Only expressions can block it."""

    def __init__(self, now: Callable[[], int], error_base: str, *, lifecycle: bool = False) -> None:
        self._now = now
        self._error_base = error_base
        self._lifecycle = lifecycle
        self._id = uuid4().hex
        self._numbers = count()

    def step(
        self,
        key: ExecutionKey,
        plan: Plan,
        known: CachedState,
        deliveries: Sequence[Delivery[Message]],
        refused: Refused = none_refused,
        at: int | None = None,
    ) -> Step | None:
        """The step that messages cause; None if they cause no event. Then `answers` may have messages.

        If they are decided again, `refused` tells which sub-workflows cannot start, and `at` is the time of
        the first decision. With another time the inputs of the sub-workflows could be other ones.
        """
        messages = [delivery.body for delivery in deliveries]
        if known.start is not None and messages[0].kind is not MessageKind.START:
            messages.insert(0, known.start)  # a cancellation may arrive before the start
        decisions, unread = self._decisions(plan, known.state, messages, refused, at)
        if not decisions or decisions[-1].state.version == known.state.version:
            return None
        commit_id = f"{self._id}-{next(self._numbers)}"
        read = max(0, len(deliveries) - unread)
        published = self._lifecycle_events(key, known, decisions) if self._lifecycle else ()
        commit = _commit_of(key, commit_id, known, decisions, deliveries[:read], published)
        after = CachedState(known.workflow, decisions[-1].state, known.snapshot_version, commit_id)
        return Step(commit, after, deliveries[read:])

    def _lifecycle_events(
        self, key: ExecutionKey, known: CachedState, decisions: Sequence[Decision]
    ) -> list[PublishEvent]:
        befores = [known.state, *(decision.state for decision in decisions[:-1])]
        return [
            PublishEvent(event)
            for before, decision in zip(befores, decisions, strict=True)
            for event in lifecycle_events(key.id, known.workflow, before, decision.events)
        ]

    def answers(
        self, plan: Plan, known: CachedState, deliveries: Sequence[Delivery[Message]]
    ) -> list[Message]:
        """What to send to others for messages that change nothing. It can be sent more than once."""
        decisions, _ = self._decisions(plan, known.state, [delivery.body for delivery in deliveries])
        outgoing = [each for decision in decisions for each in decision.outgoing]
        return [each.message for each in outgoing if isinstance(each, SendMessage)]

    def _decisions(
        self,
        plan: Plan,
        state: State,
        messages: Sequence[Message],
        refused: Refused = none_refused,
        at: int | None = None,
    ) -> tuple[list[Decision], int]:
        """Decisions, each on the state after the previous one; and how many messages were not read.

        They are for one commit, so they stop at the limits of one decision: events, size and time. A decision
        that was cut is the last in its commit. Otherwise a replay could not distinguish the events of the
        next message from the continuation of this decision.
        """
        now = _not_before(self._now() if at is None else at, state, messages)
        decisions, events, size, enough = [], 0, 0, in_time()
        for place, message in enumerate(messages, 1):
            decision = decide(
                plan, state, message, now, error_base=self._error_base, enough=enough, refused=refused
            )
            if decision.events or decision.outgoing:
                decisions.append(decision)
                state = decision.state
            if decision.unfinished:
                return decisions, len(messages) - place
            if place < len(messages):
                events += len(decision.events)
                size += decision.size + _size_of(message)
                if events and (size > MAX_DECISION_SIZE or enough(events)):
                    return decisions, len(messages) - place
        return decisions, 0


def in_time() -> Callable[[int], bool]:
    """Cuts decisions that take long, because other work waits for the event loop."""
    deadline = time.monotonic() + MAX_DECISION_SECONDS
    return lambda events: events >= MAX_EVENTS or time.monotonic() > deadline


def _size_of(message: Message) -> int:
    """About how many characters a message adds to a history."""
    try:
        return json_size(message.body)
    except LimitExceeded:
        return MAX_DECISION_SIZE + 1


def _not_before(now: int, state: State, messages: Sequence[Message]) -> int:
    """The time of a decision: not before the due time of a timer that has fired by the store's clock."""
    for message in messages:
        if message.kind is MessageKind.TIMER_FIRED:
            timer = state.timers.get(message.body["timer"])
            now = now if timer is None else max(now, timer.due_at)
    return now


def _commit_of(
    key: ExecutionKey,
    commit_id: str,
    before: CachedState,
    decisions: Sequence[Decision],
    acknowledges: Sequence[Delivery[Message]],
    published: Sequence[Outgoing],
) -> Commit:
    decision = decisions[0] if len(decisions) == 1 else _joined(decisions)
    consumed = _consumed(decision, acknowledges)
    opened, closed = _subscriptions(decision, consumed) if decision.subscriptions else ((), ())
    outgoing = decision.outgoing and [with_tenant(key.tenant, each) for each in decision.outgoing]
    return Commit(
        key=key,
        commit_id=commit_id,
        expected_version=before.state.version,
        expected_commit=before.commit_id,
        events=decision.events,
        tasks=decision.tasks,
        tasks_cancelled=decision.tasks_cancelled,
        messages=(Message(MessageKind.CONTINUE, key.id, {}),) if decision.unfinished else (),
        timers=decision.timers,
        timers_cancelled=decision.timers_cancelled,
        index=_index_update(before.state, decision.state),
        tags=_tag_update(before.state, decision),
        outgoing=(*outgoing, *published),
        subscriptions=opened,
        subscriptions_closed=closed,
        consumed=tuple(event.data["event"] for event in consumed) if consumed else (),
        acknowledges=tuple(acknowledges),
    )


def _joined(decisions: Sequence[Decision]) -> Decision:
    return Decision(
        state=decisions[-1].state,
        events=tuple(event for each in decisions for event in each.events),
        tasks=tuple(task for each in decisions for task in each.tasks),
        tasks_cancelled=tuple(run for each in decisions for run in each.tasks_cancelled),
        timers=tuple(timer for each in decisions for timer in each.timers),
        timers_cancelled=tuple(timer for each in decisions for timer in each.timers_cancelled),
        unfinished=decisions[-1].unfinished,
        outgoing=tuple(each for decision in decisions for each in decision.outgoing),
        subscriptions=dict(item for each in decisions for item in each.subscriptions.items()),
        look_backs=dict(item for each in decisions for item in each.look_backs.items()),
    )


def _subscriptions(
    decision: Decision, consumed: Sequence[Event]
) -> tuple[tuple[Subscription, ...], tuple[str, ...]]:
    """The subscriptions that a decision opens, and the runs whose subscriptions it closes."""
    changes = decision.subscriptions.items()
    opened = [_opened(run, index, decision, consumed) for run, index in changes if index is not None]
    return tuple(opened), tuple(run for run, index in changes if index is None)


def _opened(
    run: str, index: tuple[IndexEntry, ...], decision: Decision, consumed: Sequence[Event]
) -> Subscription:
    at = decision.look_backs.get(run)
    if at is None:
        return Subscription(run, index)
    return Subscription(run, index, look_back=True, consumed_later=sum(event.seq > at for event in consumed))


def _consumed(decision: Decision, acknowledges: Sequence[Delivery[Message]]) -> Sequence[Event]:
    """The events of the history by which a decision accepts published events."""
    for delivery in acknowledges:
        if delivery.body.kind is MessageKind.EVENT:
            return [event for event in decision.events if event.type == "event.received"]
    return ()


def _tag_update(before: State, decision: Decision) -> TagUpdate | None:
    """The change of the tags; those of the start are in the store already."""
    after = decision.state.tags
    if after is before.tags:
        return None
    known = before.tags if before.version > 0 else decision.events[0].data.get("tags", NO_TAGS)
    return None if after == known else TagUpdate(known, after)


def _index_update(before: State, after: State) -> IndexUpdate | None:
    status = after.status_phase
    if before.version > 0 and status is before.status_phase:
        return None
    return IndexUpdate(
        status, after.started_at if before.version == 0 else None, after.ended_at if status.ended else None
    )
