"""Runs executions in virtual time, as the services do in real time.

Messages, results of tasks, timers and events are in one queue, in the order of virtual time. Nothing waits
in real time, so a retry after an hour costs what a retry at once costs.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from unspool.definitions.durations import Duration
from unspool.definitions.fetched import compile_fetched
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.resource import QUEUE, address_of
from unspool.definitions.resource_kind import FOR_HANDLERS
from unspool.definitions.resource_kind import kind_of as kind_of_resource
from unspool.definitions.tasks import call_registered
from unspool.definitions.tasks.request import DOCUMENTS, KIND
from unspool.definitions.tasks.run_workflow import LATEST
from unspool.eventstore.events import Event
from unspool.eventstore.ids import derived_id
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import (
    Message,
    MessageKind,
    Outgoing,
    PublishEvent,
    SendMessage,
    Start,
    StartExecution,
    Status,
    TaskRequest,
    WorkflowRef,
)
from unspool.eventstore.semver import order
from unspool.eventstore.texts import sha256_of
from unspool.testing.answers import Answer, Call, Fault, Output
from unspool.testing.errors import EndlessExecution, UnmockedTask
from unspool.testing.execution import Execution
from unspool.testing.jq import jq_pool
from unspool.testing.mocks import Mocks, kind_of
from unspool.testing.published import Publication
from unspool.testing.secret_values import Unavailable, with_values
from unspool.testing.virtual_time import VirtualTime
from unspool.worker.interpreter import Decision
from unspool.worker.interpreter.run import Phase
from unspool.worker.lifecycle import lifecycle_events

MAX_EVENTS: Final = 100_000
"""Events of all histories of a test. More are taken for an execution without an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a test says about everything around the workflow."""

    mocks: Mocks
    events: Sequence[Publication]
    sub_workflows: Sequence[Plan]
    resources: Mapping[str, str]
    """The texts of external resources by their addresses."""
    secrets: Mapping[str, Json] | None
    """The values of secrets; None leaves arguments that read them as expressions."""
    lifecycle_events: bool
    """Whether lifecycle events are published, for tasks that listen."""
    operations: Sequence[tuple[MessageKind, Duration]]
    """What an operator does with the execution, and when."""


class Simulation:
    """The executions of one test."""

    def __init__(self, surroundings: Surroundings, start: int, until: Duration | None) -> None:
        """Takes the first time in milliseconds since 1970, and the virtual time after which it stops."""
        self._given = surroundings
        self.start = start
        self._end = None if until is None else until.due(start)
        self._time = VirtualTime(start)
        self._unscheduled = deque(each.event for each in surroundings.events if each.after is None)
        for each in surroundings.events:
            if each.after is not None:
                self._time.add(each.event, each.after.due(start))
        self.executions: dict[str, Execution] = {}
        self.calls: list[tuple[str, Call]] = []
        """The calls in order, each with the id of its execution."""
        self.published: list[tuple[str, CloudEvent]] = []
        """The events that executions have published, each with the id of its execution."""

    @property
    def now(self) -> int:
        """The virtual time, in milliseconds since 1970."""
        return self._time.now

    def run(self, plan: Plan, value: Json) -> Execution:
        """Runs an execution, and those that it starts, until nothing happens any more.

        Raises:
            UnmockedTask: a task needs an executor and has no mock.
            MockExhausted: a sequence has no answer for a call.
            EndlessExecution: the histories get too long.
        """
        id_ = derived_id(self.start, "test")
        self.executions[id_] = execution = Execution(id_, plan)
        self._send(MessageKind.START, id_, {"input": value})
        for kind, after in self._given.operations:
            self._send(kind, id_, {}, after.due(self.start))
        while self._go_on():
            pass
        return execution

    def _go_on(self) -> bool:
        """Does what is due next. Returns whether there was something."""
        due = self._time.first()
        if self._unscheduled and (due is None or due.at > self.now) and self._listens():
            self._offer(self._unscheduled.popleft())
        elif due is None:
            return False
        elif self._is_obsolete(due.what):
            self._time.drop()
        elif self._end is not None and due.at > self._end:
            self._time.now = self._end
            return False
        else:
            self._do(self._time.take())
        return True

    def _do(self, what: Message | CloudEvent) -> None:
        if not isinstance(what, Message):
            self._offer(what)
        elif what.execution in self.executions:
            self._step(self.executions[what.execution], what)

    def _is_obsolete(self, what: Message | CloudEvent) -> bool:
        """Whether it is a cancelled timer, or all have ended. Then no time passes for it."""
        if all(each.state.status.ended for each in self.executions.values()):
            return True
        if isinstance(what, Message) and what.kind is MessageKind.TIMER_FIRED:
            return what.body["timer"] not in self.executions[what.execution].state.timers
        return False

    def _send(self, kind: MessageKind, execution: str, body: dict[str, Json], at: int | None = None) -> None:
        self._time.add(Message(kind, execution, body), at)

    # -- events

    def _listens(self) -> bool:
        return any(each.listening for each in self.executions.values())

    def _offer(self, event: CloudEvent) -> None:
        """Sends an event to all that listen; their filters decide."""
        for execution in self.executions.values():
            for run in execution.listening:
                self._send(MessageKind.EVENT, execution.id, {"run": run, "event": event})

    # -- decisions

    def _step(self, execution: Execution, message: Message) -> None:
        before = execution.state
        decision = execution.step(message, self.now)
        if sum(each.state.version for each in self.executions.values()) > MAX_EVENTS:
            raise EndlessExecution(f"more than {MAX_EVENTS} events; does {execution.workflow} ever end?")
        if self._given.lifecycle_events and self._listens():
            for event in lifecycle_events(execution.id, execution.ref, before, decision.events):
                self._time.add(event)
        for timer in decision.timers:
            self._send(MessageKind.TIMER_FIRED, execution.id, {"timer": timer.id}, timer.due_at)
        for request in decision.tasks:
            self._request(execution, request)
        for outgoing in decision.outgoing:
            self._pass_on(outgoing, execution, decision)
        if decision.unfinished:
            self._send(MessageKind.CONTINUE, execution.id, {})

    def _pass_on(self, outgoing: Outgoing, execution: Execution, decision: Decision) -> None:
        match outgoing:
            case SendMessage():
                self._time.add(outgoing.message)
            case PublishEvent():
                self.published.append((execution.id, outgoing.event))
                self._time.add(outgoing.event)
            case StartExecution():
                self._start_child(execution, outgoing.start, decision)

    # -- tasks

    def _request(self, execution: Execution, request: TaskRequest) -> None:
        if request.queue == QUEUE:
            self._fetch(execution, request)
            return
        try:
            request = self._with_secrets(request)
        except Unavailable as unavailable:
            self._reply(execution, request, Fault(unavailable.error), self.now)
            return
        call = self._call(execution, request.task, _shown(request))
        answer = self._answer(call)
        at = answer.delay.due(self.now)
        if execution.state.runs[request.run.partition(".")[0]].phase is Phase.CONSUMING:
            self._deliver_messages(execution, request, answer, at)
        else:
            self._reply(execution, request, answer, at)

    def _with_secrets(self, request: TaskRequest) -> TaskRequest:
        if self._given.secrets is None:
            return request
        return request._replace(arguments=with_values(request.arguments, self._given.secrets, jq_pool()))

    def _call(self, execution: Execution, pointer: str, arguments: Json) -> Call:
        task = execution.task(pointer)
        elapsed = timedelta(milliseconds=self.now - self.start)
        call = Call(task.name, pointer, kind_of(task), arguments, execution.workflow, elapsed)
        self.calls.append((execution.id, call))
        return call

    def _answer(self, call: Call) -> Answer:
        answer = self._given.mocks.answer(call)
        if answer is None:
            raise _unmocked(call, "")
        return answer

    def _reply(self, execution: Execution, request: TaskRequest, answer: Answer, at: int) -> None:
        if isinstance(answer, Output):
            body = {"run": request.run, "output": answer.value}
            self._send(MessageKind.TASK_COMPLETED, execution.id, body, at)
        else:
            body = {"run": request.run, "error": answer.error.at(request.task).to_json()}
            self._send(MessageKind.TASK_FAULTED, execution.id, body, at)

    def _deliver_messages(self, execution: Execution, request: TaskRequest, answer: Answer, at: int) -> None:
        """The output of a mocked subscription is the array of its messages; then the broker has no more."""
        if not isinstance(answer, Output):
            self._reply(execution, request, answer, at)
            return
        for place, message in enumerate(answer.value):
            body = {"run": request.run, "place": place, "messages": [message], "sender": "test"}
            self._send(MessageKind.MESSAGES, execution.id, body, at)
        self._send(MessageKind.TASK_COMPLETED, execution.id, {"run": request.run, "output": None}, at)

    def _fetch(self, execution: Execution, request: TaskRequest) -> None:
        """Fetches an external resource from those of the test. The texts for handlers are not needed."""
        resources = execution.state.resources
        key = next(key for key, each in resources.items() if each.request == request.run)
        for_handler = kind_of_resource(key) in FOR_HANDLERS
        text = "" if for_handler else self._given.resources.get(address_of(key))
        if text is None:
            raise UnmockedTask(
                f"task '{execution.task(request.task).name}' ({request.task}) of {execution.workflow} needs "
                f"the external resource {address_of(key)}; add its text to `resources`"
            )
        sha256 = sha256_of(text)
        if not for_handler:
            found = {(key, sha256): compile_fetched(key, text, jq_pool())}
            execution.plan = execution.plan.with_resources({**execution.plan.resources, **found})
        body = {"run": request.run, "output": {"sha256": sha256}}
        self._send(MessageKind.TASK_COMPLETED, execution.id, body)

    # -- sub-workflows

    def _start_child(self, execution: Execution, start: Start, decision: Decision) -> None:
        """Starts a sub-workflow: a mock of its task comes before its definition."""
        parent = start.parent
        assert parent is not None  # no other executions are started
        pointer = next(str(event.task) for event in decision.events if _starts(event, start.key.id))
        call = self._call(execution, pointer, start.input)
        answer, plan = self._given.mocks.answer(call), self._definition(start.workflow)
        if answer is not None:
            self._end_child(execution, parent.run, start.key.id, answer)
        elif plan is not None:
            self.executions[start.key.id] = Execution(start.key.id, plan, execution.id)
            body = {"input": start.input, "parent": parent._asdict()}
            self._send(MessageKind.START, start.key.id, body)
        else:
            raise _unmocked(call, f", or the definition of {start.workflow} to `sub_workflows`")

    def _end_child(self, execution: Execution, run: str, child: str, answer: Answer) -> None:
        ended: dict[str, Json] = {"run": run, "child": child}
        if isinstance(answer, Output):
            ended |= {"status": Status.COMPLETED.value, "output": answer.value}
        else:
            ended |= {"status": Status.FAULTED.value, "error": answer.error.to_json()}
        self._send(MessageKind.CHILD_ENDED, execution.id, ended, answer.delay.due(self.now))

    def _definition(self, ref: WorkflowRef) -> Plan | None:
        """Returns the definition of a sub-workflow; the highest version for `latest`."""
        found = [
            plan
            for plan in self._given.sub_workflows
            if (plan.namespace, plan.name) == ref[:2] and ref.version in {LATEST, plan.version}
        ]
        return max(found, key=lambda plan: order(plan.version), default=None)


def _starts(event: Event, child: str) -> bool:
    return event.type == "child.started" and event.data["child"] == child


def _shown(request: TaskRequest) -> Json:
    """The arguments of a task as its author knows them: without the members that are for executors."""
    if request.queue == call_registered.KIND:
        return request.arguments["input"]
    return {name: value for name, value in request.arguments.items() if name not in {KIND, DOCUMENTS}}


def _unmocked(call: Call, advice: str) -> UnmockedTask:
    return UnmockedTask(
        f"task '{call.task}' ({call.pointer}, `{call.kind}`) of {call.workflow} has no mock; add one for its "
        f"name, its pointer or its kind{advice}. Its arguments: {call.arguments}"
    )
