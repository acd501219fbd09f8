"""A run: a task of an execution that has not ended."""

from __future__ import annotations  # rpds maps are generic to type checkers only

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from rpds import HashTrieMap

from unspool.definitions.json_value import Json
from unspool.worker.interpreter.extended import Extended
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.listening import Listening

ROOT: Final = "0"
"""Run id of the workflow itself, the root of the tree."""


class Phase(StrEnum):
    """The phase of a run that has not ended."""

    CREATED = "created"
    """Created and not started: the decision was cut here, or the execution is suspended."""
    RUNNING = "running"
    """Its children run."""
    REQUESTED = "requested"
    """It waits for the result of an executor."""
    WAITING = "waiting"
    """It waits for a timer."""
    AWAITING = "awaiting"
    """It waits for the sub-workflow that it has started."""
    LISTENING = "listening"
    """It waits for events."""
    CONSUMING = "consuming"
    """It waits for messages, which an executor sends."""
    FETCHING = "fetching"
    """It is not started: an executor fetches an external resource that it needs."""


class Loop(NamedTuple):
    """The progress of a `for`."""

    items: list[Json]
    place: int
    """Index of the current item, from 0."""


class Branches(NamedTuple):
    """The outputs of the branches of a `fork` that have completed, by place."""

    outputs: HashTrieMap[int, Json]


class Run(NamedTuple):
    """One run of a task that has not ended."""

    id: str
    task: str
    """JSON pointer of the task; empty for the workflow."""
    parent: str | None
    """Id of the run around it; None for the workflow."""
    phase: Phase
    raw: Json
    """Raw input."""
    started_at: int | None = None
    input: Json = None
    """Transformed input."""
    data: Json = None
    """Input of the next child: the output of the child that completed last."""
    branch: int | None = None
    """Place among the branches of a `fork`, or among the iterations of a loop that run side by side."""
    attempt: int = 0
    """Number of retries that have begun (`try`)."""
    fault: Json = None
    """The error that is being handled (`catch.do`)."""
    progress: Loop | Branches | Iterations | Listening | None = None
    child: str | None = None
    """Id of the sub-workflow's execution (`run: workflow`)."""
    extended: Extended | None = None
    """The extensions that apply to it, if any."""
    joined: str | None = None
    """The execution that it waits for instead: the one with the idempotency key of the sub-workflow."""
    reported: Json = None
    """The progress that its executor reported last."""

    def started(self, at: int, value: Json) -> Run:
        """The run after its start at a time, with its transformed input.

        Every task needs it, and `_replace` takes twice as long; the same is true for the next two methods.
        """
        return tuple.__new__(Run, (*self[:3], Phase.RUNNING, self.raw, at, value, value, *self[8:]))

    def in_phase(self, phase: Phase) -> Run:
        """The run in another phase."""
        return tuple.__new__(Run, (*self[:3], phase, *self[4:]))

    def with_data(self, data: Json) -> Run:
        """The run with another input for its next child."""
        return tuple.__new__(Run, (*self[:7], data, *self[8:]))

    @property
    def request(self) -> str | None:
        """The id of the task request that it waits for; None if there is none."""
        if self.phase is Phase.REQUESTED:
            return self.id
        if isinstance(self.progress, Listening) and not self.progress.done:
            return self.progress.request
        return None


BUSY: Final = frozenset({Phase.CREATED, Phase.REQUESTED, Phase.AWAITING, Phase.FETCHING})
"""The phases of runs that wait for more than timers."""


def busy_among(runs: Iterable[Run]) -> int:
    """How many runs wait for more than timers."""
    return sum(run.phase in BUSY for run in runs)
