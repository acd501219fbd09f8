"""Folds a history to the runs of its tasks: when each began and ended, how, and with which attempts.

It applies each event as the interpreter does, so it sees the same runs. Only the runs that a caller wants are
kept after they have ended, so a long history needs little memory.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from unspool.definitions.json_value import Json
from unspool.diagram.status import TaskStatus
from unspool.eventstore.events import Event
from unspool.worker.child_events import could_not_start
from unspool.worker.interpreter import State
from unspool.worker.interpreter.evolve import apply
from unspool.worker.interpreter.run import ROOT, Phase, Run

_WAITING: Final = frozenset({Phase.WAITING, Phase.AWAITING, Phase.LISTENING, Phase.CONSUMING})
_PENDING: Final = frozenset({Phase.CREATED, Phase.FETCHING})


@dataclass(slots=True)
class Attempt:
    """An attempt of a run. Only a `try` has more than one."""

    start: int
    """Milliseconds since 1970, as all times here."""
    end: int | None = None
    error: Json = None


@dataclass(slots=True, kw_only=True)
class TaskRun:
    """A run of a task."""

    run: str
    task: str
    parent: str
    depth: int
    """The number of runs around it."""
    lane: int
    """Its place among runs side by side: branches of a `fork`, iterations of a loop. 0 for all others."""
    start: int
    """When it was created."""
    end: int | None = None
    status: TaskStatus = TaskStatus.PENDING
    """Up to date once it has ended; `RunLog.status_of` knows it before."""
    attempts: list[Attempt] = field(default_factory=list)
    children: int = 0
    """The number of runs directly inside it."""
    execution: str | None = None
    """The execution of its sub-workflow."""
    handling: bool = False
    """Whether `catch.do` runs, so tasks inside it begin no new attempt."""

    def copy(self) -> "TaskRun":
        """Returns a copy that events can change."""
        return replace(self, attempts=[replace(attempt) for attempt in self.attempts])


@dataclass(slots=True)
class TaskTotals:
    """What is known of all runs of one task."""

    runs: int = 0
    attempts: int = 0
    """Those of the newest run."""
    last: TaskStatus = TaskStatus.PENDING
    """How the run ended that ended last."""


Wanted: TypeAlias = Callable[[int], bool]
"""Tells by its number whether a run is kept after it has ended."""


def no_run(_number: int) -> bool:
    """Keeps no run after it has ended."""
    return False


class RunLog:
    """The runs of an execution, as of the last event that was added."""

    def __init__(self, execution: str, wanted: Wanted = no_run) -> None:
        """Takes the execution's id, and which runs are kept after they have ended."""
        self.state = State(execution)
        self.runs: dict[str, TaskRun] = {}
        """The runs that have not ended, those that an operator's `retry` may continue, and those wanted."""
        self.totals: dict[str, TaskTotals] = {}
        self.time = 0
        """The time of the last event."""
        self._wanted = wanted
        self._ended: list[TaskRun] = []
        """Runs that have ended, and that a `retry` of the execution may continue."""

    def copy(self) -> "RunLog":
        """Returns a log as of the same event, to which other events can be added."""
        other = RunLog(self.state.execution, self._wanted)
        other.state, other.time = self.state.copy(), self.time
        other.runs = {id_: run.copy() for id_, run in self.runs.items()}
        other.totals = {task: replace(totals) for task, totals in self.totals.items()}
        other._ended = [other.runs[run.run] for run in self._ended]
        return other

    def add(self, events: Iterable[Event]) -> None:
        """Adds the next events of the history. Raises `CorruptHistory`."""
        for event in events:
            apply(self.state, event)
            self.time = event.time
            record = _RECORD.get(event.type)
            if record is not None:
                record(self, event)

    def status_of(self, run: TaskRun) -> TaskStatus:
        """Returns the status of a run."""
        live = self.state.runs.get(run.run)
        return run.status if live is None else _live_status(live, handling=run.handling)

    def due(self) -> dict[str, int]:
        """Returns when the next timer of each run is due that has one."""
        timers = sorted(self.state.timers.values(), key=lambda timer: -timer.due_at)
        return {timer.run: timer.due_at for timer in timers}

    # -- what events say

    def created(self, event: Event) -> None:
        """A run was created, in an attempt of the run around it."""
        run = self.state.runs[str(event.run)]
        self._begin(run, event.time)
        self._forget()
        parent = self.runs.get(str(run.parent))
        if parent is None:
            return
        parent.children += 1
        if "caught" in event.data:
            parent.handling = True
            _end_attempt(parent, event.time, event.data["caught"])
        elif not parent.handling and parent.attempts and parent.attempts[-1].end is not None:
            self._attempt(parent, event.time)

    def started(self, event: Event) -> None:
        """A run has started."""
        self._attempt(self.runs[str(event.run)], event.time)

    def retried(self, event: Event) -> None:
        """An attempt of a `try` failed; another one follows."""
        run = self.runs[str(event.run)]
        run.handling = False
        _end_attempt(run, event.time, event.data.get("error"))

    def child_started(self, event: Event) -> None:
        """A sub-workflow was started, or joined."""
        self.runs[str(event.run)].execution = event.data.get("child") or event.data.get("execution")

    def ended(self, event: Event) -> None:
        """A run has ended."""
        status = _ENDS[event.type]
        if "skipped" in event.data:
            status = TaskStatus.SKIPPED
        run = self.runs[str(event.run)]
        run.end, run.status = event.time, status
        if could_not_start(event):
            run.execution = None
        _end_attempt(run, event.time, event.data.get("error"))
        self.totals[run.task].last = status
        self._ended.append(run)
        if not self.state.faulted_runs:
            self._forget()

    def execution_retried(self, event: Event) -> None:
        """The runs that faulted continue, or begin again as new runs."""
        for run in sorted(self.state.runs.values(), key=lambda run: int(run.id)):
            known = self.runs.get(run.id)
            if run.id == ROOT:
                continue
            if known is None:
                self._begin(run, event.time)
            else:
                known.end = None
                self._attempt(known, event.time)

    # -- changes

    def _forget(self) -> None:
        """Drops the runs that have ended and that nothing continues."""
        lost = {run.id for run in self.state.lost_runs}  # a retry can continue these
        for run in self._ended:
            if run.run not in self.state.runs and run.run not in lost and not self._wanted(int(run.run)):
                self.runs.pop(run.run, None)  # one that ended twice is here twice
        self._ended = [run for run in self._ended if run.run in lost]

    def _begin(self, run: Run, time: int) -> None:
        parent = self.runs.get(str(run.parent))
        depth = 0 if parent is None else parent.depth + 1
        self.runs[run.id] = TaskRun(
            run=run.id,
            task=run.task,
            parent=str(run.parent),
            depth=depth,
            lane=run.branch or 0,
            start=time,
        )
        totals = self.totals.setdefault(run.task, TaskTotals())
        totals.runs, totals.attempts = totals.runs + 1, 0

    def _attempt(self, run: TaskRun, time: int) -> None:
        run.attempts.append(Attempt(time))
        self.totals[run.task].attempts = len(run.attempts)


def _end_attempt(run: TaskRun, time: int, error: Json) -> None:
    if run.attempts and run.attempts[-1].end is None:
        run.attempts[-1].end, run.attempts[-1].error = time, error


def _live_status(run: Run, *, handling: bool) -> TaskStatus:
    if run.attempt and not handling:
        return TaskStatus.RETRYING
    if run.phase in _PENDING:
        return TaskStatus.PENDING
    return TaskStatus.WAITING if run.phase in _WAITING else TaskStatus.RUNNING


_ENDS: Final = {
    "task.completed": TaskStatus.COMPLETED,
    "task.faulted": TaskStatus.FAULTED,
    "task.cancelled": TaskStatus.CANCELLED,
}

_RECORD: Final[Mapping[str, Callable[[RunLog, Event], None]]] = {
    "task.created": RunLog.created,
    "task.started": RunLog.started,
    "task.retried": RunLog.retried,
    "task.completed": RunLog.ended,
    "task.faulted": RunLog.ended,
    "task.cancelled": RunLog.ended,
    "child.started": RunLog.child_started,
    "child.joined": RunLog.child_started,
    "workflow.retried": RunLog.execution_retried,
}
