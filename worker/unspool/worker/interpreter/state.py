"""The state of an execution: a tree of running tasks, and the timers that they wait for.

States share data (inputs, outputs, the context) and never change it in place.
"""

from __future__ import annotations  # rpds maps are generic to type checkers only

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import Final, NamedTuple

from rpds import HashTrieMap, HashTrieSet, Queue

from unspool.definitions.json_value import Json
from unspool.eventstore.records import Parent, Status
from unspool.eventstore.tags import Tags, no_tags
from unspool.worker.interpreter.live_runs import ManyRuns, children_by_run
from unspool.worker.interpreter.run import Phase, Run


class Purpose(StrEnum):
    """The purpose of a timer."""

    WAIT = "wait"
    RETRY = "retry"
    TIMEOUT = "timeout"
    ATTEMPT = "attempt"
    """The time limit of one attempt of a `try`."""
    LIFETIME = "lifetime"
    """How long a subscription consumes messages."""


class Waiting(NamedTuple):
    """An execution that waits for the end of this one, which it has not started itself."""

    execution: str
    run: str
    """Run of its `run: workflow` task."""
    child: str
    """The id of the sub-workflow in its history."""


class Resource(NamedTuple):
    """An external resource that is being fetched, or was fetched."""

    request: str
    """Id of the request."""
    waiting: tuple[str, ...] = ()
    """The runs that have waited for it."""
    sha256: str | None = None
    """The hash of its text, once it was fetched. From then on the execution uses this text."""


class PendingTimer(NamedTuple):
    """A timer that is set."""

    run: str
    purpose: Purpose
    due_at: int


class Ready(NamedTuple):
    """All created runs of a state."""

    version: int
    """The version of the state. They are not known for another one."""
    runs: tuple[str, ...]
    """Ids, in the order of their creation."""


NO_RUNS: Final[Queue[Run]] = Queue()


@dataclass(slots=True)
class State:
    """The state of an execution after one event.

    All its values but `runs` are immutable and shared with earlier and later states. Only code that has just
    created a state changes its attributes and its runs; see `apply` in `evolve.py`.
    """

    execution: str
    version: int = 0
    """Number of the last event."""
    status: Status = Status.PENDING
    started_at: int | None = None
    ended_at: int | None = None
    input: Json = None
    """The workflow's raw input."""
    context: Json = None
    output: Json = None
    error: Json = None
    runs: dict[str, Run] | ManyRuns = field(default_factory=dict)
    """Live runs by id."""
    busy_runs: int = 0
    """How many runs wait for more than timers: for a worker, an executor or a sub-workflow."""
    timers: HashTrieMap[str, PendingTimer] = field(default_factory=HashTrieMap)
    timers_of_runs: HashTrieMap[str, tuple[str, ...]] = field(default_factory=HashTrieMap)
    """The ids in `timers` by run, in the order in which they were set."""
    last_run: int = 0
    """The id of the newest run, as a number."""
    faulted_runs: Queue[Run] = NO_RUNS
    """Runs that ended with an error that is not caught (yet), innermost first. A retry begins there."""
    lost_runs: tuple[Run, ...] = ()
    """The same for branches that have lost a fork with `compete` that still runs, or has faulted since."""
    parent: Parent | None = None
    """The execution that started this one as a sub-workflow."""
    idempotency_key: str | None = None
    tags: Tags = field(default_factory=no_tags)
    waiting: tuple[Waiting, ...] = ()
    """The executions that joined this one, in order. Empty once it has ended: then they get the result."""
    resources: HashTrieMap[str, Resource] = field(default_factory=HashTrieMap)
    """External resources by key."""
    ready: Ready | None = field(default=None, compare=False)
    """What a decision that was cut has left; it spares the next one the search for created runs."""

    def copy(self) -> State:
        """A copy to which events can be applied in place."""
        copied = State(*_members(self))
        copied.runs = self.runs.copy()
        return copied

    def has_children(self, run: str) -> bool:
        """Whether a run has live children."""
        if isinstance(self.runs, ManyRuns):
            return run in self.runs.children
        return any(child.parent == run for child in self.runs.values())

    def descendants(self, run: str) -> list[Run]:
        """The live descendants of a run, every child before its parent."""
        runs = self.runs
        children_of = runs.children if isinstance(runs, ManyRuns) else children_by_run(runs.values())
        found: list[Run] = []
        unvisited = self._oldest_first(children_of, run)
        while unvisited:
            found.append(unvisited.pop())
            unvisited += self._oldest_first(children_of, found[-1].id)
        return found[::-1]

    def _oldest_first(self, children_of: HashTrieMap[str, HashTrieSet[str]], run: str) -> list[Run]:
        return [self.runs[id_] for id_ in sorted(children_of.get(run, ()), key=int)]

    def in_phase(self, phase: Phase) -> list[Run]:
        """Live runs in a phase, oldest first."""
        return sorted((run for run in self.runs.values() if run.phase is phase), key=lambda run: int(run.id))

    @property
    def status_phase(self) -> Status:
        """The status that users see: a running execution that only waits for timers is `waiting`."""
        return Status.WAITING if self.status is Status.RUNNING and not self.busy_runs else self.status

    @property
    def created(self) -> Sequence[str]:
        """The ids of the runs that are created and not started, oldest first."""
        if self.ready is not None and self.ready.version == self.version:
            return self.ready.runs
        return [run.id for run in self.in_phase(Phase.CREATED)]


_members: Final = attrgetter(*(member.name for member in fields(State)))
