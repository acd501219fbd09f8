"""An execution as of one event: its state, what comes next, and what that event changed."""

from dataclasses import dataclass
from typing import Any, Final, Self

import click

from unspool.api.representations import event_json
from unspool.cli.difference import ABSENT, Change, changes
from unspool.cli.exits import Stop
from unspool.cli.exports import History
from unspool.cli.output import json_text, shortened
from unspool.cli.terminal import printable
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event
from unspool.worker.replay import state_at
from unspool.worker.state_json import state_json

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """An execution as of one event."""

    history: History
    event: Event
    state: dict[str, Any]
    changed: list[Change]
    """What the event changed in the state."""

    @classmethod
    def of(cls, history: History, at: int | None) -> Self:
        """The execution as of event `at`, or the last one.

        Raises:
            Stop: there is no such event, or the events make no history.
        """
        last = len(history.events)
        number = last if at is None else at
        if not 1 <= number <= last:
            raise Stop(f"there is no event {number}; the history has {last}")
        state, before = _state(history, number), _state(history, number - 1)
        changed = [
            change for change in changes(_keyed(before), _keyed(state)) if change.pointer != "/version"
        ]
        return cls(history, history.events[number - 1], state, changed)

    def to_json(self) -> dict[str, Json]:
        """All of it as one JSON document."""
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
    except CorruptHistory as error:  # a file may hold anything
        raise Stop(f"the events make no history: {error}") from error


def _keyed(state: dict[str, Any]) -> dict[str, Any]:
    """The state with its lists by task: then one that has ended does not make all others look changed."""
    keyed = dict(state)
    keyed["running"] = {run["run"]: run for run in state["running"]}
    keyed["next"] = {entry["task"]: entry for entry in state["next"]}
    return keyed


def print_moment(moment: Moment) -> None:
    """Shows it to people."""
    event, state = moment.event, moment.state
    where = f"  {event.task} (run {event.run})" if event.task else ""
    _row("execution", f"{moment.history.execution} of {moment.history.workflow}")
    _row("event", f"{event.seq} of {len(moment.history.events)}, {rfc3339(event.time)}: {event.type}{where}")
    _row("status", str(state["status"]))
    for name in ("input", "context", "output", "error"):
        if name in state:
            _row(name, json_text(state[name]))
    for task, data in state["data"].items():
        _row("data", f"{task}  {json_text(data)}")
    for run in state["running"]:
        _row("running", f"{run['task']} (run {run['run']})  {run['phase']}{_counts(run)}")
    for entry in state["next"]:
        _row("next", f"{entry['task']} waits for {_awaited(entry)}")
    for change in moment.changed:
        _row("changed", f"{' '.join(parts(change.pointer))}:  {_change(change)}")


def _row(name: str, text: str) -> None:
    click.echo(f"{name:10} {printable(text)}")


def _counts(run: dict[str, Any]) -> str:
    return "".join(f", {name} {run[name]}" for name in ("attempt", "iteration") if name in run)


def _awaited(entry: dict[str, Any]) -> str:
    if entry["waitsFor"] == "timer":
        return f"its {entry['purpose']} timer, due {rfc3339(entry['dueAt'])}"
    return {"executor": "an executor", "worker": "a worker"}[entry["waitsFor"]]


def _change(change: Change) -> str:
    if change.before is ABSENT:
        return f"+ {_short(change.after)}"
    if change.after is ABSENT:
        return f"- {_short(change.before)}"
    return f"{_short(change.before)} -> {_short(change.after)}"


def _short(value: Json) -> str:
    return shortened(json_text(value), _WIDTH)
