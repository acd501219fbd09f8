"""Which tasks of an execution listen for an event like one that they refuse, and why they refuse it."""

from math import inf
from time import monotonic
from typing import NamedTuple

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks.listen import Listen
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.reading import scope_of
from unspool.worker.interpreter.run import Phase
from unspool.worker.interpreter.state import State
from unspool.worker.why.near_misses import NearMiss, near_misses


class TaskMiss(NamedTuple):
    """A task that an event came near to."""

    task: str
    """JSON pointer."""
    miss: NearMiss

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON, without the event."""
        told = self.miss.to_json()
        return {"task": self.task, "refusedBy": told["refusedBy"], "text": told["text"]}


def task_misses(
    plan: Plan, state: State, event: CloudEvent, now: int, deadline: float = inf
) -> list[TaskMiss]:
    """Returns the tasks that listen now and that an event came near to.

    Args:
        plan: the compiled definition of the execution.
        state: after its newest event.
        event: a published event.
        now: milliseconds since 1970.
        deadline: no task is compared after this time of `time.monotonic`.
    """
    found: list[TaskMiss] = []
    for run in state.in_phase(Phase.LISTENING):
        if monotonic() > deadline:
            break
        task, listening = plan.tasks.get(run.task), run.progress
        if task is None or not isinstance(task.body, Listen) or not isinstance(listening, Listening):
            continue
        misses = near_misses(scope_of(plan, state, run, now), task.body, listening, [event], [])
        found += [TaskMiss(run.task, miss) for miss in misses]
    return found
