"""What the API answers, as typed records. Times are in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with str keys."""

_ACCEPTED: Final = 202
"""The status of an answer to a request that has not been carried out yet."""

ENDED: Final = frozenset({"completed", "faulted", "cancelled"})
"""The statuses of executions that have ended."""


class Workflow(NamedTuple):
    """A version of a workflow. `created_at` is known only in lists, `warnings` only after a deployment."""

    namespace: str
    name: str
    version: str
    created_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    """What services of an older release that are alive do not know, with line, column and JSON pointer."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.version}"

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Workflow":
        """Reads one from JSON."""
        warnings = (
            f"{each['line']}:{each['column']}: {each['message']} ({each['pointer']})"
            for each in json.get("warnings", ())
        )
        created_at = time_of(json.get("createdAt"))
        return cls(json["namespace"], json["name"], json["version"], created_at, tuple(warnings))


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as of an answer."""

    id: str
    workflow: Workflow
    status: str
    """`pending`, `running`, `waiting`, `suspended`, `completed`, `faulted` or `cancelled`."""
    input: Json
    output: Json
    """None unless it completed."""
    error: Json
    """None unless it faulted."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    parent: str | None
    """The execution that started it as a sub-workflow."""
    by: str | None
    """The caller that started it, such as `key:ci`; None if no caller did, or no worker has begun it."""
    tags: Mapping[str, str]
    tenant: str
    accepted: bool = field(compare=False)
    """Whether what was asked for is only accepted, and may not have happened yet: a start without `wait`,
    or an operation that has not taken effect."""
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @classmethod
    def of(cls, status: int, json: Mapping[str, Json]) -> "Execution":
        """Reads one from an answer: its status of HTTP, and its JSON."""
        return cls(
            id=json["id"],
            workflow=Workflow.of(json["workflow"]),
            status=json["status"],
            input=json.get("input"),
            output=json.get("output"),
            error=json.get("error"),
            created_at=datetime.fromisoformat(json["createdAt"]),
            started_at=time_of(json["startedAt"]),
            ended_at=time_of(json["endedAt"]),
            parent=json["parent"] and json["parent"]["execution"],
            by=json.get("by"),
            tags=json["tags"],
            tenant=json["tenant"],
            accepted=status == _ACCEPTED,
            document=json,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a history."""

    seq: int
    """Its number in the history, from 1."""
    type: str
    time: datetime
    task: str | None
    """The JSON pointer of the task; None for events of the workflow."""
    run: str | None
    data: Mapping[str, Json]

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Event":
        """Reads one from JSON."""
        time = datetime.fromisoformat(json["time"])
        return cls(json["seq"], json["type"], time, json["task"], json["run"], json["data"])


@dataclass(frozen=True, slots=True)
class Why:
    """Why an execution waits."""

    sentence: str
    waits_for: list[Mapping[str, Json]]
    """Each has `kind`, `task`, `text` and the facts of its kind (docs/api.md)."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Why":
        """Reads it from JSON."""
        return cls(json["sentence"], json["waitsFor"])


@dataclass(frozen=True, slots=True)
class Counts:
    """How many executions are in each status."""

    executions: Mapping[str, int]
    at_least: frozenset[str]
    """The statuses that have at least so many: the store counts up to a limit."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Counts":
        """Reads it from JSON."""
        return cls(json["executions"], frozenset(json["atLeast"]))


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the newest executions of a workflow."""

    executions: int
    """Those that completed or faulted, of which the figures are."""
    all: bool
    """Whether these are all that completed or faulted."""
    oldest: datetime | None
    """When the oldest of these was created; None without executions."""
    completed: int
    faulted: int
    success_rate: float | None
    """The share that completed; None without executions."""
    p50_seconds: float | None
    """Half of those that completed took at most so long."""
    p95_seconds: float | None
    open: int
    """Those that have not ended."""
    open_at_least: bool
    """Whether there are more that have not ended."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Statistics":
        """Reads it from JSON."""
        return cls(
            executions=json["executions"],
            all=json["all"],
            oldest=time_of(json.get("oldest")),
            completed=json["completed"],
            faulted=json["faulted"],
            success_rate=json["successRate"],
            p50_seconds=json["durationSeconds"]["p50"],
            p95_seconds=json["durationSeconds"]["p95"],
            open=json["open"],
            open_at_least=json["openAtLeast"],
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """The runs of tasks of an execution as of an event, in the order in which they began."""

    execution: str
    at: int
    """The number of the event."""
    status: str
    start: datetime | None
    end: datetime | None
    runs: list[Mapping[str, Json]]
    """Each has `task`, `name`, `kind`, `status`, `start`, `end`, `attempts` and more (docs/api.md)."""

    @classmethod
    def of(cls, json: Mapping[str, Json], runs: list[Mapping[str, Json]]) -> "Timeline":
        """Reads it from the JSON of its last page, with the runs of all pages."""
        times = time_of(json["start"]), time_of(json["end"])
        return cls(json["execution"], json["at"], json["status"], *times, runs)


def time_of(text: str | None) -> datetime | None:
    """Reads a time of an answer; None if there is none."""
    return None if text is None else datetime.fromisoformat(text)
