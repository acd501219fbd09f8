"""The state of each task of a plan, from the runs of an execution."""

from collections.abc import Iterable, Mapping
from typing import Final

from unspool.diagram.runs import RunLog, TaskTotals
from unspool.diagram.status import TaskState, TaskStatus

_FIRST: Final = (TaskStatus.RUNNING, TaskStatus.RETRYING, TaskStatus.WAITING, TaskStatus.PENDING)
"""If a task has several runs at once, the one of these that comes first is shown."""


def task_states(log: RunLog, pointers: Iterable[str]) -> Mapping[str, TaskState]:
    """Returns the states of tasks by pointer.

    If runs of a task have not ended, its state is that of one of them, else that of the run that ended last.

    Args:
        log: the runs, as of an event.
        pointers: of the tasks.
    """
    live: dict[str, TaskStatus] = {}
    for run in log.runs.values():
        if run.run in log.state.runs:
            statuses = log.status_of(run), live.get(run.task, TaskStatus.PENDING)
            live[run.task] = min(statuses, key=_FIRST.index)
    unreached = TaskStatus.SKIPPED if log.state.status.ended else TaskStatus.PENDING
    return {pointer: _state(log.totals.get(pointer), live.get(pointer), unreached) for pointer in pointers}


def _state(totals: TaskTotals | None, live: TaskStatus | None, unreached: TaskStatus) -> TaskState:
    if totals is None:
        return TaskState(unreached)
    return TaskState(live or totals.last, totals.runs, totals.attempts)
