"""Collects the events, requests and timers of one decision, and the state after them."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget, json_size
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Body, Plan, Task
from unspool.eventstore.events import Event
from unspool.eventstore.ids import derived_id
from unspool.eventstore.published_events import CloudEvent, IndexEntry
from unspool.eventstore.records import (
    ExecutionKey,
    Message,
    MessageKind,
    Outgoing,
    Parent,
    PublishEvent,
    SendMessage,
    Start,
    StartExecution,
    TaskRequest,
    Timer,
    WorkflowRef,
)
from unspool.worker.interpreter.evolve import apply
from unspool.worker.interpreter.refusals import Refused
from unspool.worker.interpreter.run import Phase, Run
from unspool.worker.interpreter.state import PendingTimer, Purpose, State
from unspool.worker.interpreter.timer_events import set_at

MAX_DECISION_SIZE: Final = 2 * 1024 * 1024
"""Characters of new values after which a decision is long enough, also with few events."""

SAME_TENANT: Final = ""
"""Replaces the tenant of the execution, which the interpreter does not know."""


def with_tenant(tenant: str, outgoing: Outgoing) -> Outgoing:
    """A start with the tenant in its key in place of `SAME_TENANT`; anything else is unchanged."""
    if not isinstance(outgoing, StartExecution):
        return outgoing
    start = outgoing.start
    return StartExecution(replace(start, key=start.key._replace(tenant=tenant)))


_LIMITS: Final = frozenset({Purpose.TIMEOUT, Purpose.ATTEMPT})
"""Timers that end everything inside their run."""

_RECEIVING: Final = frozenset({Phase.LISTENING, Phase.CONSUMING})
"""The phases in which events or messages come to a run."""


class Fault(Exception):
    """Carries a workflow error to the task that faults with it.

    It is the only exception in the interpreter that is not a bug, and it never leaves the interpreter.
    """

    def __init__(self, error: WorkflowError) -> None:
        super().__init__(error.detail or error.type)
        self.error = error


class TaskInterpreter(Protocol):
    """Interprets one kind of task: each method reacts to one change of a run."""

    def begin(self, builder: "DecisionBuilder", run: Run, body: Any) -> None:
        """The run's input is ready. Raises `Fault`."""

    def child_completed(self, builder: "DecisionBuilder", run: Run, body: Any, child: "Ended") -> None:
        """A child has completed. Raises `Fault`."""

    def child_faulted(
        self, builder: "DecisionBuilder", run: Run, body: Any, child: "Ended", error: WorkflowError
    ) -> None:
        """A child has faulted. Raises `Fault`."""

    def answered(self, builder: "DecisionBuilder", run: Run, body: Any, output: Json) -> None:
        """An executor or a sub-workflow has returned an output. Raises `Fault`."""

    def event_received(self, builder: "DecisionBuilder", run: Run, body: Any, event: CloudEvent) -> None:
        """An event was published that it may wait for. Raises `Fault`."""

    def messages_received(
        self, builder: "DecisionBuilder", run: Run, body: Any, data: dict[str, Json]
    ) -> None:
        """An executor sends messages that it has got from a broker. Raises `Fault`."""

    def timer_fired(self, builder: "DecisionBuilder", run: Run, body: Any, purpose: Purpose) -> None:
        """A timer of the run has fired; not its timeout. Raises `Fault`."""

    def continued(self, builder: "DecisionBuilder", run: Run, body: Any) -> None:
        """An operator has resumed or retried the execution, and the run goes on. Raises `Fault`."""


class ExtensionInterpreter(TaskInterpreter, Protocol):
    """What extensions do when something happens to a run of a task that they may extend."""

    def applying(self, builder: "DecisionBuilder", run: Run) -> list[str]:
        """Pointers of the extensions that apply to a run that is about to start. Raises `Fault`."""

    def completed(
        self, builder: "DecisionBuilder", run: Run, data: dict[str, Json], raw: Json, directive: str | None
    ) -> bool:
        """The task's own work has a result. Returns whether a list has to end before the run can complete."""


class Ended(NamedTuple):
    """A child that has just ended."""

    task: Task
    branch: int | None
    output: Json = None
    """Transformed output."""
    directive: str = ""
    """Its flow directive."""


@dataclass(slots=True)
class DecisionBuilder:
    """Builds one decision, on a copy of the state."""

    plan: Plan
    state: State
    now: int
    """Milliseconds since 1970."""
    interpreters: Mapping[type[Body], TaskInterpreter]
    extensions: ExtensionInterpreter
    error_base: str
    enough: Callable[[int], bool]
    """Gets the number of events; returns whether the decision stops there."""
    refused: Refused
    budget: Budget = field(default_factory=Budget)
    """The operations that expressions may still use for the current task."""
    size: int = 0
    """Approximate number of characters of the new values as JSON."""
    events: list[Event] = field(default_factory=list)
    tasks: dict[str, TaskRequest] = field(default_factory=dict)
    tasks_cancelled: dict[str, None] = field(default_factory=dict)
    """Ids of requests, in order, each once."""
    timers: dict[str, Timer] = field(default_factory=dict)
    timers_cancelled: list[str] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    subscriptions: dict[str, tuple[IndexEntry, ...] | None] = field(default_factory=dict)
    """By run: what it is subscribed to now, or None if it no longer is."""
    look_backs: dict[str, int] = field(default_factory=dict)
    """The runs whose subscription begins with retained events, with the version at which it was opened."""
    ready: deque[str] = field(default_factory=deque)
    """Ids of runs that are created and not yet started, in the order of their creation."""
    knows_ready: bool = False
    """Whether `ready` also has those that earlier decisions have created."""
    ended: "list[tuple[str, Ended]] | None" = None
    """Runs that have completed and the ids of their parents, which are being continued in this order."""

    def emit(self, type_: str, run: Run | None, data: dict[str, Json]) -> None:
        """Adds an event to the decision and applies it to the state."""
        task, id_ = (run.task, run.id) if run is not None else (None, None)
        event = Event(self.state.version + 1, type_, self.now, task, id_, data)
        self.events.append(event)
        apply(self.state, event)

    def create_run(self, task: Task, data: dict[str, Json]) -> None:
        """Creates a run of a task, and adds it to the ready queue."""
        id_ = str(self.state.last_run + 1)
        event = Event(self.state.version + 1, "task.created", self.now, task.pointer, id_, data)
        self.events.append(event)
        apply(self.state, event)
        self.ready.append(id_)

    @property
    def full(self) -> bool:
        """Whether the decision is long enough.

        Never without an event: it would answer the message and change nothing, so the rest would never run.
        """
        events = len(self.events)
        return events > 0 and (self.size > MAX_DECISION_SIZE or self.enough(events))

    def add_size_of(self, value: Json) -> None:
        """Adds the size of a new value. Raises `LimitExceeded` if the value is too large."""
        self.size += json_size(value)

    def run(self, id_: str) -> Run:
        """The current value of a live run."""
        return self.state.runs[id_]

    def task_of(self, run: Run) -> Task:
        """The task of a run."""
        return self.plan.tasks[run.task]

    def interpreter_of(self, task: Task) -> TaskInterpreter:
        """The interpreter of the task's kind, or that of extensions around it."""
        return self.extensions if task.extensions else self.interpreters[type(task.body)]

    # -- executors, sub-workflows, timers

    def request(self, run: Run, queue: str, arguments: dict[str, Json]) -> None:
        """Requests the run's work from an executor."""
        self._request(run, run.id, queue, arguments)

    def request_messages(self, run: Run, queue: str, arguments: dict[str, Json]) -> None:
        """Requests messages from an executor, for a run that has subscribed."""
        # A run can subscribe again after a fault, and then needs another id.
        self._request(run, f"{run.id}.{self.state.version + 1}", queue, arguments)

    def _request(self, run: Run, id_: str, queue: str, arguments: dict[str, Json]) -> None:
        deadline = self._deadline(run)
        data = {"queue": queue, "arguments": arguments}
        self.emit("task.requested", run, data if deadline is None else {**data, "deadline": deadline})
        self.tasks[id_] = TaskRequest(self.state.execution, id_, run.task, queue, arguments, deadline)

    def start_child(self, run: Run, workflow: WorkflowRef, input_: Json) -> None:
        """Starts a sub-workflow for a run; the version may be `latest`."""
        execution, parent = self.state.execution, self.state.parent
        child = derived_id(self.now, f"{execution}/{run.id}")
        self.emit("child.started", run, {"child": child, "workflow": workflow._asdict()})
        of = Parent(execution, run.id, 1 if parent is None else parent.depth + 1)
        key = ExecutionKey(SAME_TENANT, child)
        self.outgoing.append(StartExecution(Start(key, workflow, input_, self.now, of)))

    def send(self, execution: str, kind: MessageKind, body: dict[str, Json]) -> None:
        """Sends a message to another execution."""
        self.outgoing.append(SendMessage(Message(kind, execution, body)))

    def publish(self, event: CloudEvent) -> None:
        """Publishes an event."""
        self.outgoing.append(PublishEvent(event))

    def subscribe(self, run: Run, index: tuple[IndexEntry, ...], *, look_back: bool = False) -> None:
        """Subscribes a run to events, in place of those up to now.

        With `look_back` it first gets the events that the store retains.
        """
        self.subscriptions[run.id] = index
        if look_back:
            self.look_backs[run.id] = self.state.version

    def unsubscribe(self, run: Run) -> None:
        """Ends the subscription of a run."""
        self.subscriptions[run.id] = None

    def send_to_children(self, kind: MessageKind) -> None:
        """Sends a message to all sub-workflows that are awaited."""
        for run in self.state.in_phase(Phase.AWAITING):
            self.send(str(run.child), kind, {})

    def withdraw(self, run: Run) -> None:
        """Cancels the task request or the sub-workflow of the run."""
        if run.phase is Phase.AWAITING:
            self.send(str(run.child), MessageKind.CANCEL, {})
        request = run.request
        if request is None or self.tasks.pop(request, None) is not None:
            return
        self.tasks_cancelled[request] = None

    def withdraw_resources(self) -> None:
        """Cancels the requests for external resources."""
        for resource in self.state.resources.values():
            if resource.sha256 is None and self.tasks.pop(resource.request, None) is None:
                self.tasks_cancelled[resource.request] = None

    def schedule(self, run: Run, purpose: Purpose, due_at: int) -> None:
        """Sets a timer for a run."""
        timer = f"{run.id}/{purpose}/{self.state.version + 1}"  # see `set_at`
        self.emit("timer.scheduled", run, {"timer": timer, "purpose": purpose, "dueAt": due_at})
        self.timers[timer] = Timer(timer, due_at)

    def has_timer(self, run: Run, purpose: Purpose) -> bool:
        """Whether a timer of that purpose is set for a run."""
        return any(timer.purpose is purpose for _, timer in self._timers_of(run.id))

    def stop_waiting(self, *runs: Run) -> None:
        """Cancels the timers and the subscriptions of runs that end."""
        if self.state.timers:
            self.clear_timers(*runs)
        for run in runs:
            if run.phase in _RECEIVING:
                self.stop_listening(run)

    def stop_listening(self, run: Run) -> None:
        """Ends what brings events and messages to a run."""
        if run.phase is Phase.LISTENING:
            self.unsubscribe(run)
        elif run.phase is Phase.CONSUMING:
            self.withdraw(run)

    def clear_timers(self, *runs: Run, purpose: Purpose | None = None) -> None:
        """Cancels the timers of some runs; with `purpose` only those of that purpose."""
        if not self.state.timers or not runs:
            return
        found = [
            (set_at(id_), id_, run)
            for run in runs
            for id_, timer in self._timers_of(run.id)
            if purpose in {None, timer.purpose}
        ]
        # In the order in which they were set, because the order of the map differs between processes.
        for _, id_, run in sorted(found, key=itemgetter(0)):
            self.emit("timer.cancelled", run, {"timer": id_})
            if self.timers.pop(id_, None) is None:
                self.timers_cancelled.append(id_)

    def first_due(self, timer: str) -> str:
        """The timer that counts as fired when this one fires.

        This is the outermost timeout around its run that is due, too (inventory N3): a store may report due
        timers in any order.
        """
        found = self.state.timers[timer]
        due = [
            (distance, limit.purpose is Purpose.TIMEOUT, id_)
            for distance, id_, limit in self._limits(self.run(found.run))
            if limit.due_at <= found.due_at
        ]
        return max(due)[2] if due else timer

    def _deadline(self, run: Run) -> int | None:
        """The earliest due time of the timeouts of a run and of the runs around it; None without one."""
        if not self.state.timers:
            return None
        return min((limit.due_at for _, _, limit in self._limits(run)), default=None)

    def _limits(self, run: Run) -> list[tuple[int, str, PendingTimer]]:
        """The timeouts of a run and of its ancestors: distance from the run, id of the timer, timer."""
        return [
            (distance, id_, timer)
            for distance, above in enumerate(self._with_ancestors(run))
            for id_, timer in self._timers_of(above)
            if timer.purpose in _LIMITS
        ]

    def _timers_of(self, run: str) -> list[tuple[str, PendingTimer]]:
        """The timers of a run that are set."""
        timers = self.state.timers
        return [(id_, timers[id_]) for id_ in self.state.timers_of_runs.get(run, ())]

    def _with_ancestors(self, run: Run) -> list[str]:
        ids = [run.id]
        while run.parent is not None:
            run = self.state.runs[run.parent]
            ids.append(run.id)
        return ids
