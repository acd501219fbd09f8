"""States as bytes, for snapshots: with one, a worker does not have to fold a long history.

A snapshot can be deleted at any time. It has the version of its format: a reader that does not know the
format folds the history instead.
"""

from dataclasses import fields
from typing import Final

import orjson
from rpds import HashTrieMap, Queue

from unspool.definitions.json_value import Json
from unspool.eventstore.records import Parent, Status
from unspool.worker.interpreter.extended import Extended, Result
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Branches, Loop, Phase, Run, busy_among
from unspool.worker.interpreter.run_changes import live_runs
from unspool.worker.interpreter.state import PendingTimer, Purpose, Resource, State, Waiting
from unspool.worker.interpreter.timer_events import by_run

FORMAT: Final = 1

_FAULTED_RUNS: Final = "fallen"
"""The key of `State.faulted_runs` in this format; it never changes."""


def dump_state(state: State) -> bytes:
    """A state as bytes."""
    members = {member.name: getattr(state, member.name) for member in fields(state)}
    faulted, lost = members.pop("faulted_runs"), members.pop("lost_runs")
    for derived in ("timers_of_runs", "busy_runs", "ready"):
        del members[derived]
    return orjson.dumps(
        {
            **members,
            "format": FORMAT,
            "tags": dict(state.tags),
            "parent": None if state.parent is None else [*state.parent],
            "waiting": [[*waiting] for waiting in state.waiting],
            "runs": [_dump_run(run) for run in state.runs.values()],
            "timers": {id_: list(timer) for id_, timer in state.timers.items()},
            _FAULTED_RUNS: [_dump_run(run) for run in faulted],
            "resources": {key: list(resource) for key, resource in state.resources.items()},
            **({"lost_runs": [_dump_run(run) for run in lost]} if lost else {}),
        }
    )


def load_state(dump: bytes) -> State | None:
    """The state that was dumped; None if another release dumped it, or it cannot be read."""
    try:
        members = orjson.loads(dump)
        return _state(members) if members.pop("format") == FORMAT else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _state(members: dict[str, Json]) -> State:
    runs = [_load_run(run) for run in members["runs"]]
    timers = {id_: _load_timer(*timer) for id_, timer in members["timers"].items()}
    members |= {
        "status": Status(members["status"]),
        "runs": live_runs(runs),
        "busy_runs": busy_among(runs),
        "timers": HashTrieMap(timers),
        "timers_of_runs": by_run(timers),
        "parent": Parent(*members["parent"]) if members.get("parent") else None,
        "waiting": tuple(Waiting(*waiting) for waiting in members.get("waiting", ())),
        "resources": HashTrieMap(
            {key: _load_resource(*resource) for key, resource in members.get("resources", {}).items()}
        ),
        "lost_runs": tuple(map(_load_run, members.get("lost_runs", ()))),
        "faulted_runs": Queue(map(_load_run, members.pop(_FAULTED_RUNS))),
    }
    return State(**members)


def _load_timer(run: str, purpose: str, due_at: int) -> PendingTimer:
    return PendingTimer(run, Purpose(purpose), due_at)


def _load_resource(request: str, waiting: list[str], sha256: str | None) -> Resource:
    return Resource(request, tuple(waiting), sha256)


def _dump_run(run: Run) -> Json:
    match run.progress:
        case Loop(items, place):
            progress: Json = {"items": items, "place": place}
        case Branches(outputs):
            progress = {"outputs": list(outputs.items())}
        case Iterations(items, input_size, begun, outputs, size):
            progress = {"iterations": [items, input_size, begun, list(outputs.items()), size]}
        case Listening():
            progress = {"listening": run.progress.to_json()}
        case None:
            progress = None
    return {**run._asdict(), "progress": progress, "extended": _dump_extended(run.extended)}


def _dump_extended(extended: Extended | None) -> Json:
    if extended is None:
        return None
    result = None if extended.result is None else [*extended.result]
    return [[*extended.extensions], extended.current, result]


def _load_run(members: dict[str, Json]) -> Run:
    match members["progress"]:
        case {"items": items, "place": place}:
            progress: Loop | Branches | Iterations | Listening | None = Loop(items, place)
        case {"outputs": outputs}:
            progress = Branches(HashTrieMap(dict(outputs)))
        case {"iterations": [items, input_size, begun, outputs, size]}:
            progress = Iterations(items, input_size, begun, HashTrieMap(dict(outputs)), size)
        case {"listening": listening}:
            progress = Listening.from_json(listening)
        case _:
            progress = None
    phase, extended = Phase(members["phase"]), _load_extended(members.get("extended"))
    return Run(**{**members, "phase": phase, "progress": progress, "extended": extended})


def _load_extended(dump: Json) -> Extended | None:
    if dump is None:
        return None
    extensions, current, result = dump
    return Extended(tuple(extensions), current, None if result is None else Result(*result))
