"""What an execution waits for, from its plan, its state and facts."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.records import Message, Status
from unspool.worker.interpreter.run import Phase, Run
from unspool.worker.interpreter.state import Purpose, State
from unspool.worker.why.attempts import attempt_of
from unspool.worker.why.awaited_events import event_reason
from unspool.worker.why.calls import call_reason, resource_reason
from unspool.worker.why.facts import Facts, Reason, shown, until

MOST_REASONS: Final = 50
"""Runs that are told."""

_PAUSES: Final = frozenset({Purpose.WAIT, Purpose.RETRY})


def reasons(plan: Plan, state: State, facts: Facts) -> list[Reason]:
    """Returns what an execution waits for, the most important first; none if it has ended.

    Args:
        plan: its compiled definition.
        state: after its newest event.
        facts: what else is known.
    """
    found = [*_stuck(facts), *_suspended(state, facts)]
    if state.version == 0 and not found:
        found.append(Reason("worker", None, "waits for a worker to begin with it"))
    found += [_of_run(plan, state, run, facts) for run in waiting_runs(state)]
    return found


def waiting_runs(state: State) -> list[Run]:
    """Returns the runs that wait for something themselves, oldest first; the first `MOST_REASONS`."""
    waiting = (run for run in state.runs.values() if run.phase is not Phase.RUNNING)
    return sorted(waiting, key=lambda run: int(run.id))[:MOST_REASONS]


def _of_run(plan: Plan, state: State, run: Run, facts: Facts) -> Reason:
    return _REASONS[run.phase](plan, state, run, facts)


def _stuck(facts: Facts) -> Iterator[Reason]:
    for letter in facts.letters:
        is_message = isinstance(letter.body, Message)
        text = (
            f"is stuck: its {'message' if is_message else 'call'} failed {letter.attempts} times and is"
            f" dead letter {letter.id} ({shown(letter.error)})"
        )
        members: dict[str, Json] = {
            "id": letter.id,
            "error": letter.error,
            "attempts": letter.attempts,
            "since": rfc3339(letter.moved_at),
        }
        task = None if isinstance(letter.body, Message) else letter.body.task
        yield Reason("deadLetter", task, text, members)


def _suspended(state: State, facts: Facts) -> Iterator[Reason]:
    if state.status is not Status.SUSPENDED:
        return
    event = next((each for each in reversed(facts.history) if each.type == "workflow.suspended"), None)
    since = None if event is None else rfc3339(event.time)
    by = None if event is None else event.data.get("by")
    if by is None and facts.parent is not None and facts.parent.status is Status.SUSPENDED:
        by = f"its parent {facts.parent.key.id}, which is suspended too"
    text = f"is suspended{f' since {since}' if since else ''}{f' by {by}' if by else ''} until it is resumed"
    yield Reason("suspended", None, text, {"since": since, "by": by})


def _created(_plan: Plan, state: State, run: Run, _facts: Facts) -> Reason:
    if state.status is Status.SUSPENDED:
        return Reason("suspended", run.task, "begins when the execution is resumed")
    return Reason("worker", run.task, "is ready and waits for a worker")


def _timer(plan: Plan, state: State, run: Run, facts: Facts) -> Reason:
    timers = [timer for timer in state.timers.values() if timer.run == run.id and timer.purpose in _PAUSES]
    timer = min(timers, key=lambda each: each.due_at)
    due, members = until(timer.due_at, facts.now), {"dueAt": rfc3339(timer.due_at)}
    attempt = attempt_of(plan, state, run, facts) if timer.purpose is Purpose.RETRY else None
    if attempt is None:
        return Reason("timer", run.task, f"waits until {due}", members)
    text = f"is tried again at {due}, {attempt.text}{attempt.after}"
    return Reason("retry", run.task, text, {**members, **attempt.facts()})


def _child(_plan: Plan, _state: State, run: Run, facts: Facts) -> Reason:
    id_ = str(run.joined or run.child)
    child = facts.children.get(id_)
    text = f"waits for the sub-workflow {id_}"
    members: dict[str, Json] = {"execution": id_}
    if child is not None:
        text += f" of {child.workflow}, which is {child.status}"
        members |= {"workflow": child.workflow._asdict(), "status": child.status.value}
    return Reason("child", run.task, text, members)


def _fetching(_plan: Plan, state: State, run: Run, facts: Facts) -> Reason:
    return resource_reason(state, run, facts)


_REASONS: Final[Mapping[Phase, Callable[[Plan, State, Run, Facts], Reason]]] = {
    Phase.CREATED: _created,
    Phase.REQUESTED: call_reason,
    Phase.CONSUMING: call_reason,
    Phase.WAITING: _timer,
    Phase.AWAITING: _child,
    Phase.LISTENING: event_reason,
    Phase.FETCHING: _fetching,
}
