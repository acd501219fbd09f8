"""The JSON form of a state, for `unspool replay` and for `state` of the API."""

from collections.abc import Mapping
from typing import Any

from unspool.definitions.json_value import Json
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Loop, Phase, Run
from unspool.worker.interpreter.state import PendingTimer, State


def state_json(state: State) -> dict[str, Any]:
    """The state as JSON: status, data, context, running tasks, and what the execution waits for.

    `resources` has the hashes of external resources by key; null while one is being fetched.
    """
    runs = sorted(state.runs.values(), key=lambda run: int(run.id))
    members = {
        "version": state.version,
        "status": state.status_phase.value,
        "input": state.input,
        "context": state.context,
        "output": state.output,
        "error": state.error,
        "running": [_run(run) for run in runs if run.parent is not None],
        "data": {run.task or "/": run.data for run in runs if run.phase is Phase.RUNNING},
        "next": [_next(state, run) for run in runs if run.phase is not Phase.RUNNING],
    }
    if state.tags:
        members["tags"] = dict(state.tags)
    if state.resources:
        members["resources"] = {key: each.sha256 for key, each in sorted(state.resources.items())}
    return {name: value for name, value in members.items() if value is not None}


def _run(run: Run) -> Mapping[str, Json]:
    members = {"task": run.task, "run": run.id, "phase": run.phase.value, "input": run.input}
    if run.reported is not None:
        members["progress"] = run.reported
    if run.attempt:
        members["attempt"] = run.attempt + 1
    if isinstance(run.progress, Loop):
        members["iteration"] = run.progress.place
    if isinstance(run.progress, Iterations):
        loop = run.progress
        members["iterations"] = {"of": len(loop.items), "begun": loop.begun, "completed": len(loop.outputs)}
    if isinstance(run.progress, Listening):
        what = "events" if run.progress.request is None else "messages"
        members[what] = run.progress.received
        if run.progress.keys:
            members["correlation"] = run.progress.keys
    if run.extended is not None and run.extended.stage is not None:
        members |= {"extension": run.extended.current, "stage": run.extended.stage.value}
    return members


def _next(state: State, run: Run) -> Mapping[str, Json]:
    """What a run waits for."""
    match run.phase:
        case Phase.REQUESTED:
            return {"task": run.task, "waitsFor": "executor"}
        case Phase.FETCHING:
            return {"task": run.task, "waitsFor": "resource"}
        case Phase.AWAITING:
            return {"task": run.task, "waitsFor": "child", "execution": run.joined or run.child}
        case Phase.CONSUMING:
            return {"task": run.task, "waitsFor": "message"}
        case Phase.LISTENING:
            return {"task": run.task, "waitsFor": "event"}
        case Phase.WAITING:
            return {"task": run.task, "waitsFor": "timer", **_timer(state, run)}
        case _:
            return {"task": run.task, "waitsFor": "worker"}


def _timer(state: State, run: Run) -> Mapping[str, Json]:
    timers: list[PendingTimer] = [timer for timer in state.timers.values() if timer.run == run.id]
    first = min(timers, key=lambda timer: timer.due_at)
    return {"purpose": first.purpose.value, "dueAt": first.due_at}
