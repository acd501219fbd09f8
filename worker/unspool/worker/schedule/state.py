"""The state of a schedule: what triggers it, when each trigger is due next, and which events it holds."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.eventstore.records import Status, WorkflowRef
from unspool.worker.schedule.sets import NO_SETS, PendingSets

TIMES: Final = ("every", "cron", "after")
"""The triggers that are times."""

AFTER: Final = "after"

ON: Final = "on"
"""The trigger that is events. It is also the run that is subscribed to them."""

TRIGGERS: Final = (*TIMES, ON)
"""The members of a schedule that start executions. Each works alone (inventory C6)."""


class Trigger(NamedTuple):
    """One trigger of a schedule. Times are in milliseconds since 1970."""

    value: Json
    """As the author wrote it."""
    since: int
    """When it began. The occurrences of `every` count from here."""
    due: int | None = None
    """The next occurrence."""
    timer: str | None = None
    """The timer that is set for it."""
    execution: str | None = None
    """The execution whose end `after` waits for, as it was decided; it may have joined another one."""
    ended_at: int | None = None
    """When the last execution ended, for `after`."""

    @property
    def idle(self) -> bool:
        """Whether no time is set, and no execution is awaited."""
        return self.due is None and self.execution is None


class ScheduleState(NamedTuple):
    """A schedule as of one event."""

    execution: str
    version: int = 0
    """Number of the last event."""
    workflow: WorkflowRef | None = None
    """The definition that it starts; None before the first event."""
    schedule: Mapping[str, Json] = MappingProxyType({})
    """As the author wrote it; empty when the definition has none any more."""
    paused: bool = False
    triggers: Mapping[str, Trigger] = MappingProxyType({})
    started_at: int | None = None
    last: int | None = None
    """The newest occurrence that was started."""
    last_execution: str | None = None
    missed: tuple[int, int] | None = None
    """The newest times that were missed: the first, and the time before which they were."""
    compacted_at: int = 0
    """Number of the newest event that holds a whole state."""
    sets: PendingSets = NO_SETS
    """Events that wait for others."""
    pause: Mapping[str, Json] | None = None
    """When it was paused (`at`, milliseconds since 1970), `by` whom and why (`reason`); None if it works."""
    grown: int = 0
    """About how many characters of events the history has since it was compacted."""

    @property
    def status(self) -> Status:
        """The status in the index. A schedule that its definition does not have any more has ended."""
        if self.workflow is None:
            return Status.PENDING
        if not self.triggers:
            return Status.COMPLETED
        return Status.SUSPENDED if self.paused else Status.WAITING

    @property
    def idle(self) -> list[str]:
        """The triggers that are times and have none set, and wait for nothing else."""
        return [name for name, trigger in self.triggers.items() if name in TIMES and trigger.idle]

    @property
    def next(self) -> int | None:
        """The next occurrence of any trigger."""
        return min(
            (trigger.due for trigger in self.triggers.values() if trigger.due is not None), default=None
        )


def state_to_json(state: ScheduleState) -> dict[str, Json]:
    """A state as the event `schedule.compacted` holds it. The format never changes, except by additions."""
    return {
        "workflow": None if state.workflow is None else [*state.workflow],
        "schedule": dict(state.schedule),
        "paused": state.paused,
        "triggers": {name: trigger._asdict() for name, trigger in state.triggers.items()},
        "startedAt": state.started_at,
        "last": state.last,
        "lastExecution": state.last_execution,
        "missed": None if state.missed is None else [*state.missed],
        "sets": state.sets.to_json(),
        "pause": None if state.pause is None else dict(state.pause),
    }


def state_from_json(execution: str, version: int, value: Mapping[str, Json]) -> ScheduleState:
    """The state that `state_to_json` wrote, as of the event with this number."""
    workflow = value["workflow"]
    return ScheduleState(
        execution,
        version,
        None if workflow is None else WorkflowRef(*workflow),
        value["schedule"],
        value["paused"],
        {name: Trigger(**trigger) for name, trigger in value["triggers"].items()},
        value["startedAt"],
        value["last"],
        value["lastExecution"],
        missed=tuple(value["missed"]) if value.get("missed") else None,
        compacted_at=version,
        sets=PendingSets.from_json(value["sets"]) if "sets" in value else NO_SETS,
        pause=value.get("pause"),
    )
