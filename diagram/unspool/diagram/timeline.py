"""The timeline of an execution: a bar for each run of a task, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.diagram.layout.geometry import Layout
from unspool.diagram.outline.model import TaskOutline
from unspool.diagram.runs import Attempt, RunLog, TaskRun
from unspool.eventstore.clock import rfc3339

MOST: Final = 5_000
"""Bars of one page."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A page of bars: those of the runs after a run, in the order in which they began."""

    after: int
    limit: int

    def __call__(self, number: int) -> bool:
        """Returns whether a run, by its number, is on the page. So it tells a `RunLog` what to keep."""
        return self.after < number <= self._last

    @property
    def _last(self) -> int:
        return self.after + self.limit

    def to_json(self, log: RunLog, drawn: Layout) -> dict[str, Json]:
        """Returns the page as of the last event that was added to a log, which has kept these runs."""
        state, tasks = log.state, {box.key: box.task for box in drawn.boxes if box.task is not None}
        due = log.due()
        numbered = sorted((int(run.run), run) for run in log.runs.values() if self(int(run.run)))
        return {
            "execution": state.execution,
            "at": state.version,
            "time": _time(log.time) if state.version else None,
            "status": state.status_phase.value,
            "start": _time(state.started_at),
            "end": _time(state.ended_at),
            "items": [_bar(log, run, tasks, due) for _, run in numbered],
            "next": str(self._last) if state.last_run > self._last else None,
        }


def _bar(
    log: RunLog, run: TaskRun, tasks: Mapping[str, TaskOutline], due: Mapping[str, int]
) -> dict[str, Json]:
    task = tasks.get(run.task)
    return {
        "task": run.task,
        "run": run.run,
        "name": (parts(run.task) or [""])[-1] if task is None else task.name,
        "kind": None if task is None else task.kind,
        "status": str(log.status_of(run)),
        "start": _time(run.start),
        "end": _time(run.end),
        "until": _time(due.get(run.run)),
        "attempts": [_attempt(attempt) for attempt in run.attempts],
        "lane": run.lane,
        "depth": run.depth,
        "parent": run.parent,
        "children": run.children,
        "execution": run.execution,
    }


def _attempt(attempt: Attempt) -> dict[str, Json]:
    return {"start": _time(attempt.start), "end": _time(attempt.end), "error": attempt.error}


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(milliseconds)
