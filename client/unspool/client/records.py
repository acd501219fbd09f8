"""What the API answers, as typed records. Times are in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with str keys."""

ENDED: Final = frozenset({"completed", "faulted", "cancelled"})
"""The statuses of executions that have ended."""


class Workflow(NamedTuple):
    """A version of a workflow. `created_at` is known only in lists."""

    namespace: str
    name: str
    version: str
    created_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.version}"

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Workflow":
        """Reads one from JSON."""
        return cls(json["namespace"], json["name"], json["version"], _time(json.get("createdAt")))


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
    tags: Mapping[str, str]
    tenant: str
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Execution":
        """Reads one from JSON."""
        return cls(
            id=json["id"],
            workflow=Workflow.of(json["workflow"]),
            status=json["status"],
            input=json["input"],
            output=json.get("output"),
            error=json.get("error"),
            created_at=datetime.fromisoformat(json["createdAt"]),
            started_at=_time(json["startedAt"]),
            ended_at=_time(json["endedAt"]),
            parent=json["parent"] and json["parent"]["execution"],
            tags=json["tags"],
            tenant=json["tenant"],
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
class Schedule:
    """A schedule of a workflow."""

    id: str
    workflow: Workflow | None
    schedule: Json
    """As in the definition."""
    paused: bool
    next: datetime | None
    """None if only events start it."""
    last: datetime | None
    last_execution: str | None

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Schedule":
        """Reads one from JSON."""
        workflow = json["workflow"] and Workflow.of(json["workflow"])
        times = _time(json["next"]), _time(json["last"])
        return cls(json["id"], workflow, json["schedule"], json["paused"], *times, json["lastExecution"])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message or task that failed too often."""

    id: str
    execution: str
    kind: str
    """`message` or `task`."""
    error: str
    attempts: int
    buried_at: datetime
    body: Json
    """The original; None in lists."""
    traceback: str | None
    """None in lists."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "DeadLetter":
        """Reads one from JSON."""
        buried_at = datetime.fromisoformat(json["buriedAt"])
        execution, kind, error, attempts = (json[n] for n in ("execution", "kind", "error", "attempts"))
        rest = json.get("body"), json.get("traceback")
        return cls(json["id"], execution, kind, error, attempts, buried_at, *rest)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    tenant: str | None
    """None: all tenants."""
    scopes: list[str]
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Key":
        """Reads one from JSON."""
        id_, name, tenant, scopes = (json[n] for n in ("id", "name", "tenant", "scopes"))
        created_at = datetime.fromisoformat(json["createdAt"])
        return cls(id_, name, tenant, scopes, created_at, json["createdBy"], _time(json["expiresAt"]))


class CreatedKey(NamedTuple):
    """A new key with its secret, which nothing shows again."""

    key: Key
    token: str

    def __repr__(self) -> str:
        return f"CreatedKey({self.key!r}, token='…')"


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
