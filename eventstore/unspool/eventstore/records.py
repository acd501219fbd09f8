"""The records that services and the store exchange."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from unspool.definitions.json_value import Json
from unspool.eventstore.events import Event
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE
from unspool.eventstore.published_events import CloudEvent, Subscription
from unspool.eventstore.tags import Tags, no_tags

DEFAULT_TENANT: Final = "default"


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
        """Whether the execution has ended."""
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
    """The key of an execution in a store."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as submitted."""

    ref: WorkflowRef
    text: str
    created_at: int
    """Milliseconds since 1970."""


class Parent(NamedTuple):
    """The execution that started a sub-workflow."""

    execution: str
    run: str
    """Run of its `run: workflow` task."""
    depth: int
    """The number of executions above the sub-workflow."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request to start an execution."""

    key: ExecutionKey
    workflow: WorkflowRef
    input: Json
    created_at: int
    """Milliseconds since 1970."""
    parent: Parent | None = None
    idempotency_key: str | None = None
    """The value of the key that the execution has, if it has one."""
    tags: Tags = field(default_factory=no_tags)
    by: str | None = None
    """Who starts it; None for what an execution starts. Only the start message has it."""
    traceparent: str | None = None
    """The trace context of what causes the start (W3C), if it has one. Only the start message has it."""
    tracestate: str | None = None
    """What belongs to `traceparent`."""


class MessageKind(StrEnum):
    """The kinds of inbox messages."""

    START = "start"
    CONTINUE = "continue"
    """The previous decision stopped at its limit of events; continue it."""
    TASK_COMPLETED = "task.completed"
    TASK_FAULTED = "task.faulted"
    TASK_PROGRESSED = "task.progressed"
    """An executor reports the progress of a task that runs."""
    TIMER_FIRED = "timer.fired"
    CHILD_ENDED = "child.ended"
    EVENT = "event"
    MESSAGES = "messages"
    """An executor has messages of a broker, for a task that has subscribed."""
    CHILD_JOINED = "child.joined"
    """Another execution has the idempotency key of the sub-workflow; the task waits for that one."""
    JOIN = "join"
    """Another execution waits for the end of this one."""
    CIRCLE = "circle"
    """A search for executions that wait for each other visits this one."""
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"
    DEPLOY = "deploy"
    """The definition of a schedule has a new version."""
    OPERATED = "operated"
    """A dead letter of the execution was requeued or discarded; the history records it."""


MESSAGE_KINDS: Final = {kind.value: kind for kind in MessageKind}
"""The kinds by value. On Python 3.11, `MessageKind(value)` takes ten times as long."""


class Message(NamedTuple):
    """An input of an execution. It is delivered at least once.

    `body` by kind: start `{"workflow": [namespace, name, version], "input"}` and, for a sub-workflow,
    `"parent"`, with an idempotency key `"idempotencyKey"`, with tags `"tags"`, from a caller `"by"`, with the
    trace context of its cause `"traceparent"` and perhaps `"tracestate"`;
    task.completed `{"run", "output"}`; task.faulted `{"run", "error"}`; timer.fired `{"timer"}`; child.joined
    `{"run", "child", "execution"}`; join `{"execution", "run", "child"}`, of the execution that waits;
    circle `{"origin", "waits", "at"}`, the execution that is joined, waits, and which of them is visited;
    child.ended `{"run", "child", "status"}` and `"output"` or `"error"`, and `"started": false` if it could
    not start; event `{"run", "event"}`, the run that listens and the CloudEvent; messages `{"run", "place",
    "messages", "sender"}` and perhaps `"ids"`, with the id of the task request as run, and the place of the
    first message in the subscription; deploy `{"workflow", "schedule"}`; operated `{"letter", "operation",
    "error", "by"}`; cancel, suspend, resume and retry `{"by"}` or `{}`; continue `{}`. Where there is a
    `"by"`, there may be a `"reason"`.
    """

    kind: MessageKind
    execution: str
    body: dict[str, Json]


def start_message(start: Start) -> Message:
    """The `start` message. It holds everything that the worker needs, so the worker reads nothing first."""
    body: dict[str, Json] = {"workflow": list(start.workflow), "input": start.input}
    if start.parent is not None:
        body["parent"] = start.parent._asdict()
    if start.idempotency_key is not None:
        body["idempotencyKey"] = start.idempotency_key
    if start.tags:
        body["tags"] = dict(start.tags)
    if start.by is not None:
        body["by"] = start.by
    if start.traceparent is not None:
        body[TRACEPARENT] = start.traceparent
    if start.tracestate is not None:
        body[TRACESTATE] = start.tracestate
    return Message(MessageKind.START, start.key.id, body)


class StartExecution(NamedTuple):
    """Starts an execution of the same tenant; does nothing if its id exists."""

    start: Start


class SendMessage(NamedTuple):
    """Sends a message to an execution of the same tenant; does nothing if the execution does not exist."""

    message: Message


class PublishEvent(NamedTuple):
    """Publishes an event on the bus of the same tenant, once."""

    event: CloudEvent


Outgoing: TypeAlias = StartExecution | SendMessage | PublishEvent
"""A part of a commit that affects another execution, or the event bus."""


class TaskRequest(NamedTuple):
    """Work for an executor."""

    execution: str
    run: str
    """Run of the task; with the execution's id it is the stable idempotency key."""
    task: str
    """JSON pointer of the task."""
    queue: str
    """Name of the queue, such as `http` or `call`."""
    arguments: dict[str, Json]
    """Arguments for the handler. The member `$secrets` has those that read secrets, not evaluated;
    `$kind` has the kind of the handler, if kinds share the queue; `$documents` has external resources."""
    deadline: int | None = None
    """Milliseconds since 1970 after which the result is no longer needed."""

    @property
    def kind(self) -> str:
        """The kind of its handler: the name of the queue, unless kinds share the queue."""
        return str(self.arguments.get("$kind", self.queue))

    @property
    def idempotency_key(self) -> str:
        """The same for every delivery of this request, different for every retry of the task."""
        return f"{self.execution}/{self.run}"


class Timer(NamedTuple):
    """A timer of an execution."""

    id: str
    """Unique within the execution, never reused."""
    due_at: int
    """Milliseconds since 1970, by the store's clock."""


Body = TypeVar("Body", Message, TaskRequest)


class Delivery(NamedTuple, Generic[Body]):
    """A message or task that a consumer holds until it is acknowledged, released or its lease ends."""

    tenant: str
    body: Body
    source: str
    """Opaque: identifies where the adapter read the delivery."""
    id: str
    """Opaque: the adapter's id of the delivery."""
    attempts: int = 1
    """Number of deliveries, including this one."""
    queued_at: int = 0
    """When it was last added to its queue, milliseconds since 1970 by the store's clock; 0: not known."""

    @property
    def key(self) -> ExecutionKey:
        """The execution that the delivery belongs to."""
        return ExecutionKey(self.tenant, self.body.execution)


class IndexUpdate(NamedTuple):
    """The change of the index by a commit. None leaves a field unchanged.

    A status that has not ended clears `ended_at`: the execution was retried.
    """

    status: Status
    started_at: int | None = None
    ended_at: int | None = None


class TagUpdate(NamedTuple):
    """The change of the tags of an execution by a commit."""

    before: Tags
    """Those that it had."""
    after: Tags


@dataclass(slots=True, kw_only=True)
class Commit:
    """One step of an execution, applied completely or not at all. Do not modify it.

    Not `frozen`, because creating a frozen one takes three times as long, and every step creates one.
    """

    key: ExecutionKey
    commit_id: str
    """Unique for a decision; the same when the commit is retried because its reply was lost."""
    expected_version: int
    """Version of the history that the decision is based on; 0 for an execution without history."""
    expected_commit: str | None = None
    """The commit that led to that version, if it is known.

    A store that lost its last commits in a crash can reach the same version with other events. A decision
    that is based on the lost events must then be refused, although the versions are equal.
    """
    events: tuple[Event, ...]
    """Never empty; numbered from `expected_version` + 1."""
    tasks: tuple[TaskRequest, ...] = ()
    tasks_cancelled: tuple[str, ...] = ()
    """Runs whose tasks are cancelled, if they are still waiting or running."""
    messages: tuple[Message, ...] = ()
    """Messages to this execution itself."""
    outgoing: tuple[Outgoing, ...] = ()
    """Starts of other executions of the same tenant, messages to them, and published events, in order."""
    subscriptions: tuple[Subscription, ...] = ()
    """Opened; each replaces the one of the same run."""
    subscriptions_closed: tuple[str, ...] = ()
    """Runs, none of which is in `subscriptions`; a run without a subscription is ignored."""
    consumed: tuple[CloudEvent, ...] = ()
    """Published events that the execution accepts in this step, in order.

    No later look back offers them to it.
    """
    timers: tuple[Timer, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    """Ids of timers; an id of a timer that is not set is ignored."""
    index: IndexUpdate | None = None
    tags: TagUpdate | None = None
    acknowledges: tuple[Delivery[Message], ...] = ()

    def __post_init__(self) -> None:
        """Refuses a gap in the history, a start for another tenant and a key with blanks (`ValueError`)."""
        first, count = self.expected_version + 1, len(self.events)
        if not count or (self.events[0].seq, self.events[-1].seq) != (first, first + count - 1):
            raise ValueError(f"the events of this commit must be numbered from {first}")
        for outgoing in self.outgoing:
            if isinstance(outgoing, StartExecution) and outgoing.start.key.tenant != self.key.tenant:
                raise ValueError("a commit can only start executions of its own tenant")
        for subscription in self.subscriptions:
            if any(" " in entry.key for entry in subscription.entries):
                raise ValueError("a key of a subscription must not contain blanks")

    @property
    def version(self) -> int:
        """The version of the history after this commit."""
        return self.events[-1].seq

    @property
    def uses_subscriptions(self) -> bool:
        """Whether it changes subscriptions, or names events that it consumes."""
        return bool(self.subscriptions or self.subscriptions_closed or self.consumed)


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """The index record of an execution."""

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
    """The input, until the first commit (version 0)."""
    parent: Parent | None = None
    idempotency_key: str | None = None
    tags: Tags = field(default_factory=no_tags)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cached state at a version, so that folding does not start at the first event."""

    version: int
    state: bytes


class Loaded(NamedTuple):
    """The stored data of an execution at one point in time."""

    record: ExecutionRecord
    snapshot: Snapshot | None
    events: list[Event]
    """The first events after the snapshot; all of them if the last one is the version of the record."""
