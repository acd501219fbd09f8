"""What the API answers about operation, as typed records. Times are in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from unspool.client.records import Json, Workflow, time_of


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
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Schedule":
        """Reads one from JSON."""
        workflow = json["workflow"] and Workflow.of(json["workflow"])
        times = time_of(json["next"]), time_of(json["last"])
        return cls(
            json["id"], workflow, json["schedule"], json["paused"], *times, json["lastExecution"], json
        )


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
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "DeadLetter":
        """Reads one from JSON."""
        buried_at = datetime.fromisoformat(json["buriedAt"])
        execution, kind, error, attempts = (json[n] for n in ("execution", "kind", "error", "attempts"))
        rest = json.get("body"), json.get("traceback")
        return cls(json["id"], execution, kind, error, attempts, buried_at, *rest, json)


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
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Key":
        """Reads one from JSON."""
        id_, name, tenant, scopes = (json[n] for n in ("id", "name", "tenant", "scopes"))
        created_at = datetime.fromisoformat(json["createdAt"])
        expires_at, created_by = time_of(json["expiresAt"]), json["createdBy"]
        document = {member: value for member, value in json.items() if member != "key"}  # the secret
        return cls(id_, name, tenant, scopes, created_at, created_by, expires_at, document)


class CreatedKey(NamedTuple):
    """A new key with its secret, which nothing shows again."""

    key: Key
    token: str
    document: Mapping[str, Json]
    """The whole answer; it has the token too."""

    def __repr__(self) -> str:
        return f"CreatedKey({self.key!r}, token='…')"


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as the bus has it."""

    id: str
    """Its place in the stream of the tenant; `published_events` continues after it."""
    event: Mapping[str, Json]
    """The CloudEvent."""
    published_at: datetime | None
    """When it was published; None from an API of an earlier release."""


@dataclass(frozen=True, slots=True)
class Reception:
    """A published event, with the executions that accepted it or nearly did."""

    id: str
    """Its place in the stream of the tenant."""
    event: Mapping[str, Json]
    """The CloudEvent."""
    published_at: datetime | None
    """When it was published; None from an API of an earlier release."""
    accepted_by: list[Mapping[str, Json]]
    """The executions and schedules that accepted it (docs/api.md)."""
    near_misses: list[Mapping[str, Json]]
    """Tasks that listen now, whose filter it does not meet."""
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Reception":
        """Reads it from JSON."""
        return cls(
            id=json["position"],
            event=json["event"],
            published_at=time_of(json.get("publishedAt")),
            accepted_by=json["acceptedBy"],
            near_misses=json["nearMisses"],
            document=json,
        )


class Publication(NamedTuple):
    """How many events were accepted."""

    accepted: int
    duplicates: int | None
    """How many of them were published before, and so are not published again. None: the API is of a release
    that does not tell it."""


class InputProblem(NamedTuple):
    """A place of an input that does not match the schema of a workflow."""

    pointer: str
    """A JSON pointer into the input."""
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check finds in a definition."""

    pointer: str
    """The JSON pointer of the place in the definition."""
    line: int
    column: int
    message: str
    severity: str
    """`error` or `warning`."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Finding":
        """Reads one from JSON."""
        return cls(*(json[name] for name in ("pointer", "line", "column", "message", "severity")))


@dataclass(frozen=True, slots=True)
class Function:
    """A function in Python that executors have registered."""

    name: str
    version: str
    queue: str
    """Where its calls go."""
    executors: int
    """Living executors that serve the queue."""
    input: Json
    """The JSON schema of its input; None if it is not known."""
    output: Json
    """The JSON schema of its output; None if it is not known."""
    registered_at: datetime

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Function":
        """Reads one from JSON."""
        return cls(
            name=json["name"],
            version=json["version"],
            queue=json["queue"],
            executors=json["executors"],
            input=json["input"],
            output=json["output"],
            registered_at=datetime.fromisoformat(json["registeredAt"]),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is alive."""

    service: str
    """`worker`, `executor`, `timer`, `api` or `transports`."""
    name: str
    version: str | None
    host: str | None
    pid: int | None
    started_at: datetime | None
    load: str
    """`free`, `busy` or `full`."""
    used: int
    capacity: int
    """How much it can hold; 0 if that is not known."""
    queues: list[str]
    """The task queues that an executor serves."""
    missing_keys: list[str]
    """The keys for payloads that it needs and does not have."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Service":
        """Reads one from JSON."""
        return cls(
            service=json["service"],
            name=json["name"],
            version=json["version"],
            host=json["host"],
            pid=json["pid"],
            started_at=time_of(json["startedAt"]),
            load=json["load"],
            used=json["used"],
            capacity=json["capacity"],
            queues=json["queues"],
            missing_keys=json.get("missingKeys", []),  # APIs of earlier releases do not tell them
        )


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the store."""

    queue: str
    """`inbox`, or `tasks:` and the name of a task queue."""
    waiting: int
    """Entries that no service holds."""
    held: int
    oldest_seconds: float
    """For how long the oldest entry that waits has waited."""
    services: int
    """Workers or executors that take from it."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Queue":
        """Reads one from JSON."""
        return cls(*(json[name] for name in ("queue", "waiting", "held", "oldestSeconds", "services")))


@dataclass(frozen=True, slots=True)
class System:
    """The services of a deployment, its queues and its store."""

    services: list[Service]
    queues: list[Queue]
    dead_letters: int
    timers_late_seconds: float
    """By how much the earliest timer is late."""
    store_seconds: float
    """The time of a round trip to the store."""
    document: Mapping[str, Json] = field(repr=False, compare=False)
    """The whole answer, also with the sinks and sources of events."""

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "System":
        """Reads it from JSON."""
        return cls(
            services=[Service.of(item) for item in json["items"]],
            queues=[Queue.of(item) for item in json["queues"]],
            dead_letters=json["deadLetters"],
            timers_late_seconds=json["timers"]["lateSeconds"],
            store_seconds=json["store"]["roundTripSeconds"],
            document=json,
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the API takes the caller for."""

    name: str
    scopes: list[str]
    tenant: str | None
    """None: the caller may act in all tenants."""
    authentication: bool
    """Whether authentication is on."""
    expires_at: datetime | None

    @classmethod
    def of(cls, json: Mapping[str, Json]) -> "Caller":
        """Reads one from JSON."""
        name, scopes, tenant, authentication = (
            json[n] for n in ("name", "scopes", "tenant", "authentication")
        )
        return cls(name, scopes, tenant, authentication, time_of(json["expiresAt"]))
