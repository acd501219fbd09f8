"""`evolve(state, event) -> state`: what each event does to the state, and nothing else.

Events say what cannot be derived. So a task's raw input is the data of its scope when it was created, and
the data of a scope is the output of the child that completed last; neither is in an event.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rpds import HashTrieMap

from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event
from unspool.eventstore.records import Status
from unspool.worker.interpreter.state import (
    ROOT,
    Branches,
    Json,
    Loop,
    PendingTimer,
    Phase,
    Purpose,
    Run,
    State,
)


def fold(state: State, events: Iterable[Event]) -> State:
    """The state after these events."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: State, event: Event) -> State:
    """The state after one event.

    Raises:
        CorruptHistory: the event is unknown, out of order, or about a run that does not live.
    """
    if event.seq != state.version + 1:
        raise CorruptHistory(f"event {event.seq} follows event {state.version}")
    try:
        return _EVOLVE[event.type](state, event)
    except KeyError as missing:
        raise CorruptHistory(f"event {event.seq} ({event.type}) does not fit: no {missing}") from missing


# -- the workflow


def _workflow_started(state: State, event: Event) -> State:
    data = event.data
    return state._replace(
        version=event.seq,
        status=Status.RUNNING,
        started_at=event.time,
        input=data["input"],
        runs=state.runs.insert(ROOT, _root(data["input"], data.get("data", data["input"]), event.time)),
    )


def _root(raw: Json, transformed: Json, started_at: int) -> Run:
    return Run(ROOT, "", None, Phase.RUNNING, raw, started_at, transformed, transformed)


def _workflow_ended(status: Status) -> Callable[[State, Event], State]:
    def ended(state: State, event: Event) -> State:
        data = event.data
        root = state.runs.get(ROOT)
        faulted = status is Status.FAULTED
        return state._replace(
            version=event.seq,
            status=status,
            ended_at=event.time,
            output=data.get("output", root.data if root else None) if status is Status.COMPLETED else None,
            error=data["error"] if faulted else None,
            fallen=(*state.fallen, root) if faulted and root else (),
            runs=HashTrieMap(),
            timers=HashTrieMap(),
        )

    return ended


def _workflow_suspended(state: State, event: Event) -> State:
    return state._replace(version=event.seq, status=Status.SUSPENDED)


def _workflow_resumed(state: State, event: Event) -> State:
    return state._replace(version=event.seq, status=Status.RUNNING)


def _workflow_retried(state: State, event: Event) -> State:
    """Raises the fallen runs again: the innermost as new ones, to be started, the others around them."""
    scopes = {run.parent for run in state.fallen}
    last_run = state.last_run
    raised: dict[str, Run] = {}
    for run in state.fallen:
        if run.id in scopes or run.id == ROOT:
            raised[run.id] = run._replace(phase=Phase.RUNNING)
        else:
            last_run += 1
            raised[str(last_run)] = run._replace(id=str(last_run), phase=Phase.CREATED)
    return state._replace(
        version=event.seq,
        status=Status.RUNNING,
        ended_at=None,
        error=None,
        fallen=(),
        last_run=last_run,
        runs=HashTrieMap(raised),
    )


# -- tasks


def _task_created(state: State, event: Event) -> State:
    id_, data = str(event.run), event.data
    parent = state.runs[data["parent"]]
    if "iteration" in data:
        items = parent.progress.items if isinstance(parent.progress, Loop) else data["items"]
        parent = parent._replace(progress=Loop(items, data["iteration"]))
    elif "caught" in data:
        parent = parent._replace(data=parent.input, fault=data["caught"])
    run = Run(id_, str(event.task), parent.id, Phase.CREATED, parent.data, branch=data.get("branch"))
    return state._replace(
        version=event.seq,
        runs=state.runs.insert(parent.id, parent).insert(id_, run),
        last_run=int(id_),
        fallen=(),
    )


def _task_started(state: State, event: Event) -> State:
    run = state.runs[str(event.run)]
    value = event.data.get("input", run.raw)
    started = run._replace(phase=Phase.RUNNING, started_at=event.time, input=value, data=value)
    return state._replace(version=event.seq, runs=state.runs.insert(run.id, started))


def _task_requested(state: State, event: Event) -> State:
    return _moved(state, event, Phase.REQUESTED)


def _moved(state: State, event: Event, phase: Phase) -> State:
    run = state.runs[str(event.run)]
    return state._replace(version=event.seq, runs=state.runs.insert(run.id, run._replace(phase=phase)))


def _task_completed(state: State, event: Event) -> State:
    run, data = state.runs[str(event.run)], event.data
    parent = state.runs[str(run.parent)]
    output = data.get("output", run.raw if "skipped" in data else run.input)
    if run.branch is None:
        parent = parent._replace(data=output)
    else:
        outputs = parent.progress.outputs if isinstance(parent.progress, Branches) else HashTrieMap()
        parent = parent._replace(progress=Branches(outputs.insert(run.branch, output)))
    return state._replace(
        version=event.seq,
        runs=state.runs.remove(run.id).insert(parent.id, parent),
        context=data.get("context", state.context),
        fallen=(),
    )


def _task_fell(state: State, event: Event) -> State:
    """A task faulted, or was cancelled because another one did: a retry would begin here."""
    run = state.runs[str(event.run)]
    return state._replace(version=event.seq, runs=state.runs.remove(run.id), fallen=(*state.fallen, run))


def _task_retried(state: State, event: Event) -> State:
    run = state.runs[str(event.run)]
    again = run._replace(attempt=event.data["attempt"], data=run.input)
    return state._replace(version=event.seq, runs=state.runs.insert(run.id, again), fallen=())


# -- timers


def _timer_scheduled(state: State, event: Event) -> State:
    data = event.data
    timer = PendingTimer(str(event.run), Purpose(data["purpose"]), data["dueAt"])
    waiting = timer.purpose in {Purpose.WAIT, Purpose.RETRY}
    state = _moved(state, event, Phase.WAITING) if waiting else state._replace(version=event.seq)
    return state._replace(timers=state.timers.insert(data["timer"], timer))


def _timer_fired(state: State, event: Event) -> State:
    timer = state.timers[event.data["timer"]]
    waited = timer.purpose in {Purpose.WAIT, Purpose.RETRY}
    state = _moved(state, event, Phase.RUNNING) if waited else state._replace(version=event.seq)
    return state._replace(timers=state.timers.remove(event.data["timer"]))


def _timer_cancelled(state: State, event: Event) -> State:
    return state._replace(version=event.seq, timers=state.timers.remove(event.data["timer"]))


_EVOLVE: Final[Mapping[str, Callable[[State, Event], State]]] = {
    "workflow.started": _workflow_started,
    "workflow.completed": _workflow_ended(Status.COMPLETED),
    "workflow.faulted": _workflow_ended(Status.FAULTED),
    "workflow.cancelled": _workflow_ended(Status.CANCELLED),
    "workflow.suspended": _workflow_suspended,
    "workflow.resumed": _workflow_resumed,
    "workflow.retried": _workflow_retried,
    "task.created": _task_created,
    "task.started": _task_started,
    "task.requested": _task_requested,
    "task.completed": _task_completed,
    "task.faulted": _task_fell,
    "task.cancelled": _task_fell,
    "task.retried": _task_retried,
    "timer.scheduled": _timer_scheduled,
    "timer.fired": _timer_fired,
    "timer.cancelled": _timer_cancelled,
}
