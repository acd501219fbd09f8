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
    after = decisions[-1].state
    unfinished = any(decision.unfinished for decision in decisions)
    return Commit(
        key=key,
        commit_id=commit_id,
        expected_version=before.version,
        events=tuple(event for decision in decisions for event in decision.events),
        tasks=tuple(task for decision in decisions for task in decision.tasks),
        tasks_cancelled=tuple(run for decision in decisions for run in decision.tasks_cancelled),
        messages=(Message(MessageKind.CONTINUE, key.id, {}),) if unfinished else (),
        timers=tuple(timer for decision in decisions for timer in decision.timers),
        timers_cancelled=tuple(timer for decision in decisions for timer in decision.timers_cancelled),
        index=_index_update(before, after),
        acknowledges=tuple(acknowledges),
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
