"""`decide(plan, state, message, now) -> Decision`: what happens next.

One decision runs as far as it can, through many tasks, until it needs the outside world. A message that
has been answered already interprets to nothing: no events.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.errors import DEFAULT_BASE, WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message, MessageKind, Status, TaskRequest, Timer
from unspool.worker.interpreter.flow import (
    begin_workflow,
    cancel,
    complete,
    fail,
    set_timeout,
    start,
)
from unspool.worker.interpreter.state import ROOT, Phase, Purpose, Run, State
from unspool.worker.interpreter.tasks import BEHAVIOURS
from unspool.worker.interpreter.turn import Fault, Turn


class Decision(NamedTuple):
    """What was decided, all of it in memory."""

    state: State
    """The state once the events are true."""
    events: tuple[Event, ...] = ()
    tasks: tuple[TaskRequest, ...] = ()
    tasks_cancelled: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    unfinished: bool = False
    """Whether it stopped at its limit of events: a `continue` message has to follow."""


MOST_EVENTS: Final = 500
"""Where a decision stops and goes on in a next one, so that no commit grows without bound."""


def decide(
    plan: Plan,
    state: State,
    message: Message,
    now: int,
    *,
    error_base: str = DEFAULT_BASE,
    enough: Callable[[int], bool] = MOST_EVENTS.__le__,
) -> Decision:
    """Decides what a message leads to.

    Args:
        plan: the execution's definition.
        state: the execution as of its newest event.
        message: what has come to pass.
        now: milliseconds since 1970.
        error_base: under which standard errors are written.
        enough: whether so many events are enough for one decision; what is left is for the next.
    """
    turn = Turn(plan, state.copy(), now, BEHAVIOURS, error_base, enough)
    _ANSWER[message.kind](turn, message.body)
    _work_off(turn)
    if not turn.events:
        return Decision(state)
    return Decision(
        turn.state,
        tuple(turn.events),
        tuple(turn.tasks.values()),
        tuple(turn.tasks_cancelled),
        tuple(turn.timers.values()),
        tuple(turn.timers_cancelled),
        unfinished=turn.full and turn.state.status is Status.RUNNING and bool(turn.agenda),
    )


def _work_off(turn: Turn) -> None:
    """Starts what was created, in order, until nothing is left or the decision is long enough."""
    while turn.agenda and not turn.full and turn.state.status is Status.RUNNING:
        run = turn.state.runs.get(turn.agenda.popleft())
        if run is not None and run.phase is Phase.CREATED:
            start(turn, run)


# -- the messages


def _start(turn: Turn, body: dict[str, Json]) -> None:
    if turn.state.version == 0:
        begin_workflow(turn, body["input"])


def _continue(turn: Turn, _: dict[str, Json]) -> None:
    turn.agenda.extend(run.id for run in turn.state.in_phase(Phase.CREATED))


def _task_completed(turn: Turn, body: dict[str, Json]) -> None:
    run = _pending(turn, body)
    if run is None:
        return
    try:
        task = turn.task_of(run)
        turn.behaviour_of(task).answered(turn, run, task.body, body["output"])
    except Fault as fault:
        fail(turn, run, fault.error, {"raw": body["output"]})


def _task_faulted(turn: Turn, body: dict[str, Json]) -> None:
    run = _pending(turn, body)
    if run is not None:
        fail(turn, run, WorkflowError.from_json(body["error"]))


def _pending(turn: Turn, body: dict[str, Json]) -> Run | None:
    """The run whose result this is, if it still waits for one."""
    run = turn.state.runs.get(body["run"])
    return run if run is not None and run.phase is Phase.REQUESTED else None


def _timer_fired(turn: Turn, body: dict[str, Json]) -> None:
    if body["timer"] not in turn.state.timers:
        return
    id_ = turn.first_of(body["timer"])
    timer = turn.state.timers[id_]
    run = turn.run(timer.run)
    turn.emit("timer.fired", run, {"timer": id_})
    if id_ != body["timer"]:
        turn.timers_cancelled.append(id_)
    run = turn.run(timer.run)
    if timer.purpose is Purpose.TIMEOUT:
        _time_out(turn, run)
        return
    task = turn.task_of(run)
    try:
        turn.behaviour_of(task).timer_fired(turn, run, task.body, timer.purpose)
    except Fault as fault:
        fail(turn, turn.run(run.id), fault.error)


def _time_out(turn: Turn, run: Run) -> None:
    """A task or the workflow has taken too long (inventory N1, N2, N6)."""
    what = "the workflow" if run.id == ROOT else "the task"
    turn.withdraw(run)
    fail(turn, run, errors.timeout(f"{what} took longer than its timeout").at(run.task or "/"))


def _cancel(turn: Turn, _: dict[str, Json]) -> None:
    if turn.state.status in {Status.RUNNING, Status.SUSPENDED}:
        cancel(turn, turn.run(ROOT))


def _suspend(turn: Turn, _: dict[str, Json]) -> None:
    if turn.state.status is Status.RUNNING:
        turn.emit("workflow.suspended", None, {})


def _resume(turn: Turn, body: dict[str, Json]) -> None:
    if turn.state.status is Status.SUSPENDED:
        turn.emit("workflow.resumed", None, {})
        _continue(turn, body)


def _retry(turn: Turn, body: dict[str, Json]) -> None:
    """Restarts a faulted execution at the task that faulted."""
    if turn.state.status is not Status.FAULTED:
        return
    error = turn.state.error
    turn.emit("workflow.retried", None, {})
    root = turn.run(ROOT)
    if len(turn.state.runs) > 1:
        _continue(turn, body)
        for scope in turn.state.in_phase(Phase.RUNNING):
            _set_timeout_again(turn, scope.id)
    elif turn.state.last_run == 0:
        # No task was ever begun, for the input is invalid; and the input of an execution never changes.
        fail(turn, root, WorkflowError.from_json(error))
    else:
        _complete_root(turn, root)


def _set_timeout_again(turn: Turn, id_: str) -> None:
    run = turn.state.runs.get(id_)
    if run is None:
        return  # it went with another one, whose timeout could not be set
    try:
        set_timeout(turn, run)
    except Fault as fault:
        fail(turn, run, fault.error.at(run.task or "/"))


def _complete_root(turn: Turn, root: Run) -> None:
    """All tasks were done; it was the workflow's own output that failed."""
    try:
        complete(turn, root, root.data)
    except Fault as fault:
        fail(turn, root, fault.error)


_ANSWER: Final[Mapping[MessageKind, Callable[[Turn, dict[str, Json]], None]]] = {
    MessageKind.START: _start,
    MessageKind.CONTINUE: _continue,
    MessageKind.TASK_COMPLETED: _task_completed,
    MessageKind.TASK_FAULTED: _task_faulted,
    MessageKind.TIMER_FIRED: _timer_fired,
    MessageKind.CANCEL: _cancel,
    MessageKind.SUSPEND: _suspend,
    MessageKind.RESUME: _resume,
    MessageKind.RETRY: _retry,
}
