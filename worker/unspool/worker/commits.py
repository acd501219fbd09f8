"""From decisions to the one commit that makes them true."""

from collections.abc import Sequence

from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    Status,
)
from unspool.worker.interpreter import Decision, State


def commit_of(
    key: ExecutionKey,
    commit_id: str,
    before: State,
    decisions: Sequence[Decision],
    acknowledges: Sequence[Delivery[Message]],
) -> Commit:
    """The commit of some decisions, each made on the state the one before led to."""
    decision = decisions[0] if len(decisions) == 1 else _joined(decisions)
    return Commit(
        key=key,
        commit_id=commit_id,
        expected_version=before.version,
        events=decision.events,
        tasks=decision.tasks,
        tasks_cancelled=decision.tasks_cancelled,
        messages=(Message(MessageKind.CONTINUE, key.id, {}),) if decision.unfinished else (),
        timers=decision.timers,
        timers_cancelled=decision.timers_cancelled,
        index=_index_update(before, decision.state),
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
        unfinished=any(each.unfinished for each in decisions),
    )


def status_of(state: State) -> Status:
    """The status phase that people see: running means that something else than time has to come to pass."""
    if state.status is Status.RUNNING and not state.busy:
        return Status.WAITING
    return state.status


def _index_update(before: State, after: State) -> IndexUpdate | None:
    status = status_of(after)
    if before.version > 0 and status is status_of(before):
        return None
    return IndexUpdate(
        status, after.started_at if before.version == 0 else None, after.ended_at if status.ended else None
    )
