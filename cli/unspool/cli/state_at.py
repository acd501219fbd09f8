"""The state of an execution as of one event, and the changes by that event."""

from dataclasses import dataclass
from typing import Any, Final, Self

import click

from unspool.cli.difference import ABSENT, Change, changes
from unspool.cli.exits import CommandError
from unspool.cli.exports import History
from unspool.cli.output import json_text, shortened
from unspool.cli.terminal import printable
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.worker.replay import state_at
from unspool.worker.state_json import state_json

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class StateAt:
    """The state of an execution as of one event."""

    history: History
    event: Event
    state: dict[str, Any]
    changed: list[Change]
    """Changes to the state by the event."""

    @classmethod
    def of(cls, history: History, at: int | None) -> Self:
        """Returns the state as of event `at`, by default the last one.

        Raises:
            CommandError: there is no such event, or the events do not form a history.
        """
        last = len(history.events)
        number = last if at is None else at
        if not 1 <= number <= last:
            raise CommandError(f"there is no event {number}; the history has {last}")
        state, before = _state(history, number), _state(history, number - 1)
        changed = [
            change for change in changes(_keyed(before), _keyed(state)) if change.pointer != "/version"
        ]
        return cls(history, history.events[number - 1], state, changed)

    def to_json(self) -> dict[str, Json]:
        """Returns it as one JSON document."""
        return {
            "execution": self.history.execution,
            "workflow": self.history.workflow,
            "events": len(self.history.events),
            "event": event_json(self.event),
            "state": self.state,
            "changed": [change.to_json() for change in self.changed],
        }


def _state(history: History, at: int) -> dict[str, Any]:
    try:
        return state_json(state_at(history.execution, history.events, at))
    except CorruptHistory as error:  # a file can contain anything
        raise CommandError(f"the events do not form a history: {error}") from error


def _keyed(state: dict[str, Any]) -> dict[str, Any]:
    """Returns the state with its lists as objects by run and task: then only changed entries differ."""
    keyed = dict(state)
    keyed["running"] = {run["run"]: run for run in state["running"]}
    keyed["next"] = {entry["task"]: entry for entry in state["next"]}
    return keyed


def print_state(shown: StateAt) -> None:
    """Prints it as text."""
    event, state = shown.event, shown.state
    where = f"  {event.task} (run {event.run})" if event.task else ""
    _row("execution", f"{shown.history.execution} of {shown.history.workflow}")
    _row("event", f"{event.seq} of {len(shown.history.events)}, {rfc3339(event.time)}: {event.type}{where}")
    _row("status", str(state["status"]))
    for name in ("input", "context", "output", "error"):
        if name in state:
            _row(name, json_text(state[name]))
    for task, data in state["data"].items():
        _row("data", f"{task}  {json_text(data)}")
    for key, sha256 in state.get("resources", {}).items():
        _row("resource", f"{key}  {sha256 or 'is being fetched'}")
    for run in state["running"]:
        _row("running", f"{run['task']} (run {run['run']})  {run['phase']}{_details(run)}")
    for entry in state["next"]:
        _row("next", f"{entry['task']} waits for {_awaited(entry)}")
    for change in shown.changed:
        _row("changed", f"{' '.join(parts(change.pointer))}:  {_change(change)}")


def _row(name: str, text: str) -> None:
    click.echo(f"{name:10} {printable(text)}")


def _details(run: dict[str, Any]) -> str:
    counts = "".join(f", {name} {run[name]}" for name in ("attempt", "iteration") if name in run)
    return counts + (f", {run['stage']} of {run['extension']}" if "extension" in run else "")


def _awaited(entry: dict[str, Any]) -> str:
    if entry["waitsFor"] == "timer":
        return f"its {entry['purpose']} timer, due {rfc3339(entry['dueAt'])}"
    return _AWAITED[entry["waitsFor"]]


_AWAITED: Final = {
    "executor": "an executor",
    "worker": "a worker",
    "event": "an event",
    "child": "a sub-workflow",
    "resource": "an external resource",
}


def _change(change: Change) -> str:
    if change.before is ABSENT:
        return f"+ {_short(change.after)}"
    if change.after is ABSENT:
        return f"- {_short(change.before)}"
    return f"{_short(change.before)} -> {_short(change.after)}"


def _short(value: Json) -> str:
    return shortened(json_text(value), _WIDTH)
