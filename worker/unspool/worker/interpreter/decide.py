"""`decide(plan, state, message, now) -> Decision`: what happens next.

One decision runs as many tasks as possible, until it needs an executor, a timer or another message. A message
that was answered before causes no events.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.errors import DEFAULT_BASE, WorkflowError
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks.call_asyncapi import Subscribe
from unspool.definitions.tasks.listen import Listen
from unspool.eventstore.actors import actor_in
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import IndexEntry
from unspool.eventstore.records import Message, MessageKind, Outgoing, Status, TaskRequest, Timer
from unspool.worker.interpreter.circles import visited
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.extensions import Extensions
from unspool.worker.interpreter.flow import (
    begin_workflow,
    cancel,
    complete,
    continue_workflow,
    fail,
    set_timeout,
    start,
)
from unspool.worker.interpreter.iterating import progress_of
from unspool.worker.interpreter.joining import join
from unspool.worker.interpreter.refusals import Refused, none_refused
from unspool.worker.interpreter.resource_results import resource_faulted, resource_fetched
from unspool.worker.interpreter.run import ROOT, Phase, Run
from unspool.worker.interpreter.run_changes import lost_with_faulted
from unspool.worker.interpreter.state import Purpose, Ready, State
from unspool.worker.interpreter.tasks import INTERPRETERS
from unspool.worker.interpreter.tasks.listen import subscribe
from unspool.worker.interpreter.tasks.run_workflow import error_of_child
from unspool.worker.interpreter.tasks.subscribe import SubscribeInterpreter

NO_SUBSCRIPTIONS: Final[Mapping[str, tuple[IndexEntry, ...] | None]] = MappingProxyType({})
NO_LOOK_BACKS: Final[Mapping[str, int]] = MappingProxyType({})


class Decision(NamedTuple):
    """The result of `decide`. Nothing is stored yet."""

    state: State
    """The state after the events."""
    events: tuple[Event, ...] = ()
    tasks: tuple[TaskRequest, ...] = ()
    tasks_cancelled: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    size: int = 0
    """Approximate number of characters of its new values as JSON."""
    unfinished: bool = False
    """Whether it stopped at a limit. Then a `continue` message must be sent to the execution."""
    outgoing: tuple[Outgoing, ...] = ()
    """Starts of executions, messages to others, published events. The tenant of a start is `SAME_TENANT`."""
    subscriptions: Mapping[str, tuple[IndexEntry, ...] | None] = NO_SUBSCRIPTIONS
    """By run: what it is subscribed to from now on, or None if its subscription ends."""
    look_backs: Mapping[str, int] = NO_LOOK_BACKS
    """The runs whose subscription begins with retained events, with the version at which it was opened."""


_SUBSCRIBE: Final = SubscribeInterpreter()
_EXTENSIONS: Final = Extensions(INTERPRETERS)

MAX_EVENTS: Final = 500
"""Events after which a decision is cut, so that no commit grows without bound."""


def decide(
    plan: Plan,
    state: State,
    message: Message,
    now: int,
    *,
    error_base: str = DEFAULT_BASE,
    enough: Callable[[int], bool] = MAX_EVENTS.__le__,
    refused: Refused = none_refused,
) -> Decision:
    """Returns what happens next after a message.

    Args:
        plan: the compiled definition of the execution.
        state: the state of the execution after its newest event.
        message: the message.
        now: milliseconds since 1970.
        error_base: base URI of standard errors.
        enough: gets the number of events; returns whether the decision stops there. The rest is then left
            for the next decision.
        refused: tells which sub-workflows cannot start.
    """
    builder = DecisionBuilder(plan, state.copy(), now, INTERPRETERS, _EXTENSIONS, error_base, enough, refused)
    _HANDLERS[message.kind](builder, message.body)
    _start_ready(builder)
    if not builder.events:
        return Decision(state, outgoing=tuple(builder.outgoing))
    unfinished = bool(builder.ready) and builder.state.status is Status.RUNNING and builder.full
    if unfinished and builder.knows_ready:
        builder.state.ready = Ready(builder.state.version, tuple(builder.ready))
    return Decision(
        builder.state,
        tuple(builder.events),
        tuple(builder.tasks.values()),
        tuple(builder.tasks_cancelled),
        tuple(builder.timers.values()),
        tuple(builder.timers_cancelled),
        builder.size,
        unfinished=unfinished,
        outgoing=tuple(builder.outgoing),
        subscriptions=builder.subscriptions or NO_SUBSCRIPTIONS,
        look_backs=builder.look_backs or NO_LOOK_BACKS,
    )


def _start_ready(builder: DecisionBuilder) -> None:
    """Starts the created runs, in order, until none is left or the decision is long enough."""
    while builder.ready and not builder.full and builder.state.status is Status.RUNNING:
        run = builder.state.runs.get(builder.ready.popleft())
        if run is not None and run.phase is Phase.CREATED:
            start(builder, run)


# -- the messages


def _start(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    if builder.state.version == 0:
        builder.knows_ready = True
        begin_workflow(builder, body["input"], {name: body[name] for name in _ORIGIN if name in body})


_ORIGIN: Final = ("parent", "idempotencyKey", "tags", "by", "traceparent", "tracestate")


def _continue(builder: DecisionBuilder, _: dict[str, Json]) -> None:
    builder.ready.extend(builder.state.created)
    builder.knows_ready = True


def _task_completed(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = _pending(builder, body)
    if run is None:
        if builder.state.resources:
            resource_fetched(builder, body)
        return
    try:
        task = builder.task_of(run)
        builder.interpreter_of(task).answered(builder, run, task.body, body["output"])
    except Fault as fault:
        fail(builder, run, fault.error, {"raw": body["output"]})


def _task_faulted(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = _pending(builder, body)
    if run is not None:
        fail(builder, run, WorkflowError.from_json(body["error"]))
    elif builder.state.resources:
        resource_faulted(builder, body)


def _task_progressed(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = _pending(builder, body)
    if run is not None and run.reported != body["progress"]:
        builder.emit("task.progressed", run, {"progress": body["progress"]})


def _pending(builder: DecisionBuilder, body: dict[str, Json]) -> Run | None:
    """The run that a result is for, if it still waits for one."""
    run = builder.state.runs.get(body["run"].partition(".")[0])
    return run if run is not None and run.request == body["run"] else None


def _messages(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = _pending(builder, body)
    if run is None or run.phase is not Phase.CONSUMING:
        return
    builder.budget = Budget()
    try:
        task = builder.task_of(run)
        builder.interpreter_of(task).messages_received(builder, run, task.body, body)
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error)


def _child_ended(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = builder.state.runs.get(body["run"])
    if run is None or run.phase is not Phase.AWAITING or run.child != body["child"]:
        return
    if body["status"] != Status.COMPLETED:
        given = {name: value for name, value in body.items() if name in {"status", "error", "started"}}
        fail(builder, run, error_of_child(builder, run, body), {"ended": given})
        return
    try:
        task = builder.task_of(run)
        builder.interpreter_of(task).answered(builder, run, task.body, body["output"])
    except Fault as fault:
        fail(builder, run, fault.error, {"raw": body["output"]})


def _event(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = builder.state.runs.get(body["run"])
    if run is None or run.phase is not Phase.LISTENING:
        return
    try:
        task = builder.task_of(run)
        builder.interpreter_of(task).event_received(builder, run, task.body, body["event"])
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error)


def _child_joined(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    run = builder.state.runs.get(body["run"])
    if run is not None and run.phase is Phase.AWAITING and (run.child, run.joined) == (body["child"], None):
        builder.emit("child.joined", run, {"child": body["child"], "execution": body["execution"]})


def _timer_fired(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    if body["timer"] not in builder.state.timers:
        return
    id_ = builder.first_due(body["timer"])
    timer = builder.state.timers[id_]
    run = builder.run(timer.run)
    builder.emit("timer.fired", run, {"timer": id_})
    if id_ != body["timer"]:
        builder.timers_cancelled.append(id_)
    run = builder.run(timer.run)
    if timer.purpose is Purpose.TIMEOUT:
        _time_out(builder, run)
        return
    task = builder.task_of(run)
    try:
        builder.interpreter_of(task).timer_fired(builder, run, task.body, timer.purpose)
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error)


def _time_out(builder: DecisionBuilder, run: Run) -> None:
    """Faults a task or the workflow because its timeout is over (inventory N1, N2, N6)."""
    what = "the workflow" if run.id == ROOT else "the task"
    builder.withdraw(run)
    fail(builder, run, errors.timeout(f"{what} took longer than its timeout").at(run.task or "/"))


def _cancel(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    if builder.state.status in {Status.RUNNING, Status.SUSPENDED}:
        cancel(builder, builder.run(ROOT), actor_in(body))


def _suspend(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    if builder.state.status is Status.RUNNING:
        builder.emit("workflow.suspended", None, actor_in(body))
        builder.send_to_children(MessageKind.SUSPEND)


def _resume(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    if builder.state.status is Status.SUSPENDED:
        builder.emit("workflow.resumed", None, actor_in(body))
        builder.send_to_children(MessageKind.RESUME)
        _continue(builder, body)
        for scope in builder.state.in_phase(Phase.RUNNING):
            _set_limits_again(builder, scope.id, timeout=False)
        _EXTENSIONS.resume(builder)
        _complete_if_done(builder)


def _retry(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Restarts a faulted execution at the task that faulted."""
    if builder.state.status is not Status.FAULTED:
        return
    error = builder.state.error
    lost: dict[str, Json] = {"branches": True} if lost_with_faulted(builder.state) else {}
    builder.emit("workflow.retried", None, {**actor_in(body), **lost})
    root = builder.run(ROOT)
    if len(builder.state.runs) > 1:
        _continue(builder, body)
        for scope in builder.state.in_phase(Phase.RUNNING):
            _set_limits_again(builder, scope.id)
        for scope in builder.state.in_phase(Phase.LISTENING):
            _listen_again(builder, scope)
        for scope in builder.state.in_phase(Phase.CONSUMING):
            _consume_again(builder, scope)
    elif builder.state.last_run == 0 and builder.plan.root.resources:
        continue_workflow(builder)
    elif builder.state.last_run == 0:
        # No task ever began, because the input is invalid. The input of an execution never changes.
        fail(builder, root, WorkflowError.from_json(error))
    else:
        _complete_root(builder, root)


def _operated(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Records what was done to a dead letter of the execution, while it has not ended."""
    if builder.state.version > 0 and not builder.state.status.ended:
        builder.emit(f"dead-letter.{body['operation']}", None, body)


def _listen_again(builder: DecisionBuilder, run: Run) -> None:
    """Subscribes a task again whose `foreach` faulted, if it needs more events, and sets its timeout."""
    body = builder.task_of(run).body
    assert isinstance(body, Listen)  # no other task listens
    if not progress_of(run).done:
        subscribe(builder, run, body)
    _set_limits_again(builder, run.id)


def _consume_again(builder: DecisionBuilder, run: Run) -> None:
    """Continues a subscription, and sets its timeout."""
    body = builder.task_of(run).body
    assert isinstance(body, Subscribe)  # no other task consumes messages
    _set_limits_again(builder, run.id)
    if run.id not in builder.state.runs:
        return
    try:
        _SUBSCRIBE.continue_(builder, run, body)
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error)


def _set_limits_again(builder: DecisionBuilder, id_: str, *, timeout: bool = True) -> None:
    """Sets the timeout of a run that goes on, and what else its kind limits."""
    run = builder.state.runs.get(id_)
    if run is None:
        return  # it ended because a limit of another run could not be set
    task = builder.task_of(run)
    try:
        if timeout:
            set_timeout(builder, run)
        builder.interpreter_of(task).continued(builder, run, task.body)
    except Fault as fault:
        fail(builder, run, fault.error.at(run.task or "/"))


def _complete_if_done(builder: DecisionBuilder) -> None:
    """Completes a workflow whose last task ended while it was suspended."""
    root = builder.state.runs.get(ROOT)
    if root is not None and root.phase is Phase.RUNNING and len(builder.state.runs) == 1:
        _complete_root(builder, root)


def _complete_root(builder: DecisionBuilder, root: Run) -> None:
    """Completes the workflow: all its tasks have ended."""
    try:
        complete(builder, root, root.data)
    except Fault as fault:
        fail(builder, root, fault.error)


_HANDLERS: Final[Mapping[MessageKind, Callable[[DecisionBuilder, dict[str, Json]], None]]] = {
    MessageKind.START: _start,
    MessageKind.CONTINUE: _continue,
    MessageKind.TASK_COMPLETED: _task_completed,
    MessageKind.TASK_FAULTED: _task_faulted,
    MessageKind.TASK_PROGRESSED: _task_progressed,
    MessageKind.TIMER_FIRED: _timer_fired,
    MessageKind.CHILD_ENDED: _child_ended,
    MessageKind.EVENT: _event,
    MessageKind.MESSAGES: _messages,
    MessageKind.CHILD_JOINED: _child_joined,
    MessageKind.JOIN: join,
    MessageKind.CIRCLE: visited,
    MessageKind.CANCEL: _cancel,
    MessageKind.SUSPEND: _suspend,
    MessageKind.RESUME: _resume,
    MessageKind.RETRY: _retry,
    MessageKind.OPERATED: _operated,
}
