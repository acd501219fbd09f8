"""The small records that pass between services and the store."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from unspool.definitions.json_value import Json
from unspool.eventstore.events import Event

DEFAULT_TENANT: Final = "default"

WORKERS: Final = "workers"
EXECUTORS: Final = "executors"
"""The roles of consumers."""


class Status(StrEnum):
    """Status phases of an execution (dsl.md, "Status Phases")."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    FAULTED = "faulted"
    COMPLETED = "completed"

    @property
    def ended(self) -> bool:
        """Whether nothing happens any more by itself."""
        return self in ENDED


ENDED: Final = frozenset({Status.CANCELLED, Status.FAULTED, Status.COMPLETED})


class WorkflowRef(NamedTuple):
    """The identity of a definition (dsl.md, "Workflow")."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.version}"


class ExecutionKey(NamedTuple):
    """Names one execution in a store."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as it was submitted."""

    ref: WorkflowRef
    text: str
    created_at: int
    """Milliseconds since 1970."""


class Stored(StrEnum):
    """What storing a definition came to."""

    CREATED = "created"
    SAME = "same"
    DIFFERENT = "different"
    """That version exists with another text; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request to start an execution."""

    key: ExecutionKey
    workflow: WorkflowRef
    input: Json
    created_at: int
    """Milliseconds since 1970."""


class MessageKind(StrEnum):
    """What an inbox message asks of the worker."""

    START = "start"
    CONTINUE = "continue"
    """A decision stopped at its limit of events; go on from there."""
    TASK_COMPLETED = "task.completed"
    TASK_FAULTED = "task.faulted"
    TIMER_FIRED = "timer.fired"
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"


class Message(NamedTuple):
    """Something an execution has to react to. It travels through the inbox at least once.

    `body` by kind: start `{"workflow": [namespace, name, version], "input"}`; task.completed
    `{"run", "output"}`; task.faulted `{"run", "error"}`; timer.fired `{"timer"}`; the others `{}`.
    """

    kind: MessageKind
    execution: str
    body: dict[str, Json]


def start_message(start: Start) -> Message:
    """What the worker is told of an execution that begins: all it needs, so that it reads nothing first."""
    body = {"workflow": list(start.workflow), "input": start.input}
    return Message(MessageKind.START, start.key.id, body)


class TaskRequest(NamedTuple):
    """Work for an executor."""

    execution: str
    run: str
    """Run of the task that asks; with the execution's id it is the stable idempotency key."""
    task: str
    """JSON pointer of that task."""
    queue: str
    """Which handler does it, such as `http` or `shell`."""
    arguments: dict[str, Json]
    """Evaluated arguments, as the handler takes them."""
    deadline: int | None = None
    """Milliseconds since 1970 after which nobody waits for the result any more."""

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this request, different for every retry of the task."""
        return f"{self.execution}/{self.run}"


class Timer(NamedTuple):
    """A timer of an execution."""

    id: str
    """Unique within the execution, never used twice."""
    due_at: int
    """Milliseconds since 1970, by the store's clock."""


Body = TypeVar("Body", Message, TaskRequest)


class Delivery(NamedTuple, Generic[Body]):
    """A message or task in a consumer's hands, until it is acknowledged, released or its lease ends."""

    tenant: str
    body: Body
    source: str
    """Opaque to all but the adapter that made it: where the delivery came from …"""
    id: str
    """… and its id there."""
    attempts: int = 1
    """How often it has been delivered, this time included."""

    @property
    def key(self) -> ExecutionKey:
        """The execution this is about."""
        return ExecutionKey(self.tenant, self.body.execution)


class IndexUpdate(NamedTuple):
    """What lists and searches are told by a commit. None leaves a member as it is.

    A status that has not ended clears the time of the end: the execution was retried.
    """

    status: Status
    started_at: int | None = None
    ended_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Commit:
    """One step of an execution: all of it becomes true, or nothing. Nobody changes it once it is made.

    Not `frozen`, for a frozen one takes three times as long to make, and one is made for every step.
    """

    key: ExecutionKey
    commit_id: str
    """Unique for a decision; the same when the commit is sent again because its reply was lost."""
    expected_version: int
    """Version of the history the decision was made on; 0 for an execution without history."""
    expected_commit: str | None = None
    """The commit that led to that version, if it is known.

    A store that lost its last moments in a crash may come to the same version in another way; then the
    decision was made on a history that is no more, though it is as long as the one that is.
    """
    events: tuple[Event, ...]
    """Never empty; their numbers run on from `expected_version`."""
    tasks: tuple[TaskRequest, ...] = ()
    tasks_cancelled: tuple[str, ...] = ()
    """Runs whose tasks are told to stop, if they are still waiting or running."""
    messages: tuple[Message, ...] = ()
    """To this execution's own inbox."""
    timers: tuple[Timer, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    """Ids; an id that is not set is passed over."""
    index: IndexUpdate | None = None
    acknowledges: tuple[Delivery[Message], ...] = ()

    def __post_init__(self) -> None:
        """Refuses events that would tear a hole into the history (`ValueError`)."""
        first, count = self.expected_version + 1, len(self.events)
        if not count or (self.events[0].seq, self.events[-1].seq) != (first, first + count - 1):
            raise ValueError(f"the events of this commit must be numbered from {first}")

    @property
    def version(self) -> int:
        """The version of the history once this is true."""
        return self.events[-1].seq


class Outcome(StrEnum):
    """What a commit came to. Exactly one of several rivals is ever told `committed`."""

    COMMITTED = "committed"
    CONFLICT = "conflict"
    """The history has moved on; nothing was changed, nothing acknowledged."""
    DUPLICATE = "duplicate"
    """This very commit was made before and its reply got lost; it holds, and nothing was done again."""
    MISSING = "missing"
    """There is no such execution."""


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """What the index knows of an execution."""

    key: ExecutionKey
    workflow: WorkflowRef
    status: Status
    version: int
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    commit_id: str | None = None
    """The commit that led to this version; None at version 0."""
    pending_input: Json = None
    """The input, as long as no history holds it (version 0)."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of executions, newest first."""

    items: tuple[ExecutionRecord, ...]
    cursor: str | None
    """Opaque; None on the last page."""


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions to list; None is any."""

    status: Status | None = None
    workflow: tuple[str, str] | None = None
    """Namespace and name."""
    since: int | None = None
    """Created at or after, milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state kept beside a history so that it need not be folded from its first event. Disposable."""

    version: int
    state: bytes


class Loaded(NamedTuple):
    """What is stored of an execution, as of one moment."""

    record: ExecutionRecord
    snapshot: Snapshot | None
    events: list[Event]
    """Those after the snapshot, from its first on; all, if they reach the version of the record."""


class Renewal(StrEnum):
    """What became of a lease that was to be renewed."""

    HELD = "held"
    CANCELLED = "cancelled"
    """Still ours, but the workflow no longer wants the result."""
    LOST = "lost"
    """Somebody else has it now, or it is gone."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that could not be dealt with."""

    id: str
    tenant: str
    body: Message | TaskRequest
    error: str
    """One line."""
    traceback: str
    attempts: int
    buried_at: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """One page of dead letters, oldest first."""

    items: tuple[DeadLetter, ...]
    cursor: str | None
    """Opaque; None on the last page."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What one look at the timers came to."""

    count: int
    next_due_at: int | None
    """The earliest timer still set, milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One process that takes deliveries."""

    role: str
    """`WORKERS` or `EXECUTORS`."""
    name: str
    """Unique among the live ones."""
    queues: frozenset[str] = field(default_factory=frozenset)
    """Task queues it serves (executors)."""
