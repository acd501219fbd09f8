"""The timeline of an execution: a bar for each run of a task, as JSON."""

from collections.abc import Mapping
from typing import Final

from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.diagram.layout.geometry import Layout
from unspool.diagram.outline.model import TaskOutline
from unspool.diagram.runs import Attempt, RunLog, TaskRun
from unspool.eventstore.clock import rfc3339

MOST: Final = 5_000
"""Bars of one page."""


class Timeline:
    """Collects the bars of a page: those of the runs after a run, in the order in which they began."""

    def __init__(self, execution: str, after: int, limit: int) -> None:
        self._after = after
        self._last = after + limit
        self.log = RunLog(execution, lambda number: after < number <= self._last)

    def to_json(self, drawn: Layout) -> dict[str, Json]:
        """Returns the page as of the last event that was added to the log."""
        state, tasks = self.log.state, {box.key: box.task for box in drawn.boxes if box.task is not None}
        due = self.log.due()
        numbered = sorted((int(run.run), run) for run in self.log.runs.values())
        return {
            "execution": state.execution,
            "at": state.version,
            "time": _time(self.log.time) if state.version else None,
            "status": state.status_phase.value,
            "start": _time(state.started_at),
            "end": _time(state.ended_at),
            "items": [
                self._bar(run, tasks, due) for number, run in numbered if self._after < number <= self._last
            ],
            "next": str(self._last) if state.last_run > self._last else None,
        }

    def _bar(self, run: TaskRun, tasks: Mapping[str, TaskOutline], due: Mapping[str, int]) -> dict[str, Json]:
        task = tasks.get(run.task)
        return {
            "task": run.task,
            "run": run.run,
            "name": (parts(run.task) or [""])[-1] if task is None else task.name,
            "kind": None if task is None else task.kind,
            "status": str(self.log.status_of(run)),
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
