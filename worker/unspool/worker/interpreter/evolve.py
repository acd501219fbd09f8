"""`evolve(state, event) -> state`: how each event changes the state.

Events hold only what cannot be derived. A task's raw input is the data of its scope when the task was
created; the data of a scope is the output of the child that completed last. So neither is in an event. Only
the raw input of a function is in an event, as its arguments.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rpds import HashTrieMap

from unspool.definitions.json_value import Json
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event
from unspool.eventstore.records import Parent, Status
from unspool.eventstore.tags import NO_TAGS
from unspool.worker.interpreter import extension_events, resource_events, timer_events
from unspool.worker.interpreter.extended import Extended
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import ROOT, Branches, Loop, Phase, Run, busy_among
from unspool.worker.interpreter.run_changes import (
    add,
    forget_faulted,
    forget_lost,
    live_runs,
    lost_with_faulted,
    move,
    put,
    remove,
)
from unspool.worker.interpreter.state import NO_RUNS, State, Waiting


def evolve(state: State, event: Event) -> State:
    """The state after one event.

    Raises:
        CorruptHistory: the event is unknown, out of order, or about a run that does not exist.
    """
    return fold(state, (event,))


def fold(state: State, events: Iterable[Event]) -> State:
    """The state after these events. Raises `CorruptHistory`."""
    after = state.copy()
    for event in events:
        apply(after, event)
    return after


def apply(state: State, event: Event) -> None:
    """`evolve` in place, for a caller that has created this state and has not shared it yet.

    A decision applies about six events; a copy of the state for each would be most of its cost.
    """
    if event.seq != state.version + 1:
        raise CorruptHistory(f"event {event.seq} follows event {state.version}")
    try:
        _APPLY[event.type](state, event)
    except KeyError as missing:
        raise CorruptHistory(f"event {event.seq} ({event.type}) does not fit: no {missing}") from missing
    except (AttributeError, TypeError, ValueError) as error:
        raise CorruptHistory(f"event {event.seq} ({event.type}) does not fit: {error}") from error
    state.version = event.seq


# -- the workflow


def _workflow_started(state: State, event: Event) -> None:
    raw = event.data["input"]
    data = event.data.get("data", raw)
    state.status, state.started_at, state.input = Status.RUNNING, event.time, raw
    if "parent" in event.data:
        state.parent = Parent(**event.data["parent"])
    state.idempotency_key = event.data.get("idempotencyKey")
    state.tags = event.data.get("tags", NO_TAGS)
    state.runs[ROOT] = Run(ROOT, "", None, Phase.RUNNING, raw, event.time, data, data)


def _workflow_ended(status: Status) -> Callable[[State, Event], None]:
    def ended(state: State, event: Event) -> None:
        root = state.runs.get(ROOT)
        state.status, state.ended_at = status, event.time
        state.output, state.error = event.data.get("output"), event.data.get("error")
        state.faulted_runs = (
            state.faulted_runs.enqueue(root) if status is Status.FAULTED and root is not None else NO_RUNS
        )
        if status is not Status.FAULTED:
            state.lost_runs = ()
        state.runs, state.busy_runs, state.waiting = {}, 0, ()
        state.timers, state.timers_of_runs = HashTrieMap(), HashTrieMap()
        if state.resources:
            fetched = {key: each for key, each in state.resources.items() if each.sha256 is not None}
            state.resources = HashTrieMap(fetched)

    return ended


def _workflow_joined(state: State, event: Event) -> None:
    state.waiting = (*state.waiting, Waiting(**event.data))


def _recorded(state: State, event: Event) -> None:
    """The event only records who did what."""


def _workflow_tagged(state: State, event: Event) -> None:
    state.tags = event.data["tags"]


def _workflow_suspended(state: State, event: Event) -> None:
    state.status = Status.SUSPENDED


def _workflow_resumed(state: State, event: Event) -> None:
    state.status = Status.RUNNING


def _workflow_retried(state: State, event: Event) -> None:
    """Restores the scopes that faulted, and creates the innermost runs again, with their raw input."""
    # Without this member, an older version has retried it, which had forgotten these runs.
    lost = lost_with_faulted(state) if "branches" in event.data else []
    faulted = [*lost, *state.faulted_runs]
    scopes = {run.parent for run in faulted}
    runs: list[Run] = []
    for run in faulted:
        if run.id in scopes or run.id == ROOT or _has_subscribed(run):
            runs.append(_restored(run, begins_again=run.id not in scopes))
        else:
            state.last_run += 1
            id_ = str(state.last_run)
            runs.append(Run(id_, run.task, run.parent, Phase.CREATED, run.raw, branch=run.branch))
    state.status, state.ended_at, state.error = Status.RUNNING, None, None
    state.faulted_runs, state.lost_runs, state.busy_runs = NO_RUNS, (), busy_among(runs)
    state.runs = live_runs(runs)


def _has_subscribed(run: Run) -> bool:
    return isinstance(run.progress, Listening) and run.progress.request is not None


def _restored(run: Run, *, begins_again: bool) -> Run:
    """A scope that continues. With `begins_again`, its message is processed from the beginning."""
    if not isinstance(run.progress, Listening):
        return run._replace(phase=Phase.RUNNING)
    if run.progress.request is None:
        return run._replace(phase=Phase.LISTENING)
    progress = run.progress._replace(iterating=False) if begins_again else run.progress
    return run._replace(phase=Phase.CONSUMING, progress=progress)


# -- tasks


def _task_created(state: State, event: Event) -> None:
    id_, data = str(event.run), event.data
    parent = state.runs[data["parent"]]
    # A task that follows another in a list is by far the most frequent one.
    raw = parent.data if parent.progress is None and len(data) == 1 else _raw_input(state, parent, data)
    run = Run(id_, str(event.task), parent.id, Phase.CREATED, raw, None, None, None, data.get("branch"))
    add(state, run)
    state.last_run = int(id_)
    if state.faulted_runs is not NO_RUNS or state.lost_runs:
        forget_faulted(state)


def _raw_input(state: State, parent: Run, data: dict[str, Json]) -> Json:
    """The raw input of a new task. Changes the progress of its parent."""
    loop = _iterations(parent, data)
    if loop is not None:
        raw, loop = loop.taken(data["branch"], parent.input)
        put(state, parent._replace(progress=loop))
        return raw
    return data.get("arguments", _with_new_child(state, parent, data).data)


def _iterations(parent: Run, data: dict[str, Json]) -> Iterations | None:
    """The iterations of the loop in which a task is created. The event of the first task has the list."""
    if "branch" in data and "items" in data:
        return Iterations.over(data["items"], parent.input)
    return parent.progress if isinstance(parent.progress, Iterations) else None


def _with_new_child(state: State, parent: Run, data: dict[str, Json]) -> Run:
    if "iteration" in data:
        items = parent.progress.items if isinstance(parent.progress, Loop) else data["items"]
        return put(state, parent._replace(progress=Loop(items, data["iteration"])))
    if isinstance(parent.progress, Listening) and not parent.progress.iterating:
        return put(state, parent._replace(data=parent.progress.item, progress=parent.progress.begun()))
    if "caught" in data:
        return put(state, parent._replace(data=parent.input, fault=data["caught"]))
    return parent


def _task_started(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    run = run.started(event.time, event.data.get("input", run.raw))
    if "extensions" in event.data:
        run = run._replace(extended=Extended(tuple(event.data["extensions"])))
    put(state, run)


def _task_requested(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    if run.phase is Phase.CONSUMING:
        put(state, run._replace(progress=_consumed(run, event)._replace(request=f"{run.id}.{event.seq}")))
    else:
        move(state, event, Phase.REQUESTED)


def _task_progressed(state: State, event: Event) -> None:
    put(state, state.runs[str(event.run)]._replace(reported=event.data["progress"]))


def _child_started(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    put(state, run._replace(phase=Phase.AWAITING, child=event.data["child"], joined=None))


def _child_joined(state: State, event: Event) -> None:
    put(state, state.runs[str(event.run)]._replace(joined=event.data["execution"]))


def _task_completed(state: State, event: Event) -> None:
    run, data = state.runs[str(event.run)], event.data
    parent = state.runs[str(run.parent)]
    output = data["output"] if "output" in data else _known_output(run, data)
    remove(state, run)
    state.runs[parent.id] = _with_output(parent, run.branch, output)
    if "context" in data:
        state.context = data["context"]
    if state.faulted_runs is not NO_RUNS or state.lost_runs:
        forget_faulted(state)


def _known_output(run: Run, data: dict[str, Json]) -> Json:
    """The output that the event does not repeat."""
    if run.extended is not None and run.extended.result is not None:
        return run.extended.result.output
    return run.raw if "skipped" in data else run.input


def _with_output(parent: Run, branch: int | None, output: Json) -> Run:
    if branch is None:
        return parent.with_data(output)
    if isinstance(parent.progress, Iterations):
        return parent._replace(progress=parent.progress.completed(branch, output, parent.input))
    outputs = parent.progress.outputs if isinstance(parent.progress, Branches) else HashTrieMap()
    return parent._replace(progress=Branches(outputs.insert(branch, output)))


def _task_faulted(state: State, event: Event) -> None:
    """A task faulted, or was cancelled because another task faulted: a retry begins here.

    With `whole`, the tasks inside it had ended before it faulted: a retry runs it from its beginning.
    """
    run = state.runs[str(event.run)]
    remove(state, run)
    before = state.faulted_runs
    if "whole" in event.data:
        before = NO_RUNS
        forget_lost(state, run)
    state.faulted_runs = before.enqueue(run)


def _task_retried(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    put(state, run._replace(attempt=event.data["attempt"], data=run.input))
    forget_faulted(state)


# -- events


def _correlation_started(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    put(state, run._replace(phase=Phase.LISTENING, progress=Listening.started(event.data)))


def _event_received(state: State, event: Event) -> None:
    _listening(state, event, lambda listening: listening.consumed(event.data))


def _event_processed(state: State, event: Event) -> None:
    run, data = state.runs[str(event.run)], event.data

    def processed(listening: Listening) -> Listening:
        untransformed = run.data if listening.iterating else listening.item
        return listening.processed(data.get("output", untransformed))

    _listening(state, event, processed)
    if "context" in data:
        state.context = data["context"]


def _correlation_completed(state: State, event: Event) -> None:
    _listening(state, event, Listening.ended)


def _listening(state: State, event: Event, change: Callable[[Listening], Listening]) -> None:
    run = state.runs[str(event.run)]
    put(state, run._replace(progress=change(_consumed(run, event))))


def _consumed(run: Run, event: Event) -> Listening:
    if not isinstance(run.progress, Listening):
        raise CorruptHistory(f"event {event.seq} ({event.type}) does not fit: run {run.id} does not listen")
    return run.progress


# -- messages of brokers


def _subscription_started(state: State, event: Event) -> None:
    run = state.runs[str(event.run)]
    put(state, run._replace(phase=Phase.CONSUMING, progress=Listening.subscribed(event.data)))


def _messages_received(state: State, event: Event) -> None:
    _listening(state, event, lambda listening: listening.with_messages(event.data["messages"]))


_APPLY: Final[Mapping[str, Callable[[State, Event], None]]] = {
    "workflow.started": _workflow_started,
    "workflow.completed": _workflow_ended(Status.COMPLETED),
    "workflow.faulted": _workflow_ended(Status.FAULTED),
    "workflow.cancelled": _workflow_ended(Status.CANCELLED),
    "workflow.suspended": _workflow_suspended,
    "workflow.resumed": _workflow_resumed,
    "workflow.retried": _workflow_retried,
    "workflow.joined": _workflow_joined,
    "dead-letter.requeued": _recorded,
    "dead-letter.discarded": _recorded,
    "workflow.tagged": _workflow_tagged,
    "task.created": _task_created,
    "task.started": _task_started,
    "task.requested": _task_requested,
    "task.progressed": _task_progressed,
    "child.started": _child_started,
    "child.joined": _child_joined,
    "task.completed": _task_completed,
    "task.faulted": _task_faulted,
    "task.cancelled": _task_faulted,
    "task.retried": _task_retried,
    "workflow.correlation-started": _correlation_started,
    "event.received": _event_received,
    "event.processed": _event_processed,
    "workflow.correlation-completed": _correlation_completed,
    "subscription.started": _subscription_started,
    "messages.received": _messages_received,
    "message.processed": _event_processed,
    "subscription.completed": _correlation_completed,
    "extension.started": extension_events.extension_started,
    "extension.completed": extension_events.extension_completed,
    "resource.requested": resource_events.resource_requested,
    "resource.awaited": resource_events.resource_awaited,
    "resource.fetched": resource_events.resource_fetched,
    "resource.faulted": resource_events.resource_faulted,
    "timer.scheduled": timer_events.timer_scheduled,
    "timer.fired": timer_events.timer_fired,
    "timer.cancelled": timer_events.timer_cancelled,
}
