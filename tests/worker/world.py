"""A simulation around the interpreter: executors answer by script, and time passes in jumps."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import JqRunner
from unspool.definitions.fetched import compile_fetched
from unspool.definitions.plan import Plan
from unspool.definitions.resource_kind import FOR_HANDLERS, kind_of
from unspool.eventstore.events import Event, decode_entry, encode_entry
from unspool.eventstore.records import Message, MessageKind, Outgoing, TaskRequest
from unspool.eventstore.texts import sha256_of
from unspool.executor.outcome import FetchedText
from unspool.worker.interpreter import State, decide, evolve
from unspool.worker.replay import verify

Answer = Callable[[TaskRequest], Any]


@dataclass
class World:
    """Runs one execution of a plan to its end, or until the script has no answer."""

    plan: Plan
    answer: Answer
    execution: str = "execution"
    now: int = 1_000_000
    state: State = field(init=False)
    history: list[Event] = field(default_factory=list)
    requests: list[TaskRequest] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    inbox: list[Message] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    subscriptions: dict[str, Any] = field(default_factory=dict)
    jq: JqRunner | None = None
    """For expressions in functions that were fetched."""

    def __post_init__(self) -> None:
        self.state = State(self.execution)

    def start(self, value: Any = None) -> "World":
        self.send(MessageKind.START, input=value)
        return self

    def send(self, kind: MessageKind, **body: Any) -> "World":
        self.inbox.append(Message(kind, self.execution, body))
        self.settle()
        return self

    def settle(self) -> None:
        """Answers messages until there are none; no time passes."""
        while self.inbox:
            self.step(self.inbox.pop(0))

    def step(self, message: Message) -> None:
        decision = decide(self.plan, self.state, message, self.now)
        assert decide(self.plan, self.state, message, self.now) == decision, "decide is not a function"
        state = self.state
        for event in decision.events:
            state = evolve(state, event)
        assert state == decision.state, "the events do not say all"
        if decision.events:
            assert decode_entry(encode_entry(decision.events)) == decision.events
        self.state = decision.state
        self.history += decision.events
        self.withdrawn += decision.tasks_cancelled
        self.outgoing += decision.outgoing
        self.subscriptions |= decision.subscriptions
        for timer in decision.timers:
            assert timer.id not in self.timers, "a timer id was used twice"
            self.timers[timer.id] = timer.due_at
        for timer_id in decision.timers_cancelled:
            if timer_id != message.body.get("timer"):  # it has fired already
                del self.timers[timer_id]
        for request in decision.tasks:
            self.requests.append(request)
            self.reply(request, self.answer(request))
        if decision.unfinished:
            self.inbox.append(Message(MessageKind.CONTINUE, self.execution, {}))

    def reply(self, request: TaskRequest, result: Any) -> None:
        if result is PENDING:
            return
        if isinstance(result, FetchedText):
            result = self.fetched(request, result.text)
        if isinstance(result, WorkflowError):
            body = {"run": request.run, "error": result.to_json()}
            self.inbox.append(Message(MessageKind.TASK_FAULTED, self.execution, body))
        else:
            body = {"run": request.run, "output": result}
            self.inbox.append(Message(MessageKind.TASK_COMPLETED, self.execution, body))

    def fetched(self, request: TaskRequest, text: str) -> dict[str, str]:
        """Adds a text to the plan; returns the result of the request."""
        [key] = [key for key, each in self.state.resources.items() if each.request == request.run]
        sha256 = sha256_of(text)
        if kind_of(key) not in FOR_HANDLERS:
            found = {(key, sha256): compile_fetched(key, text, self.jq)}
            self.plan = self.plan.with_resources({**self.plan.resources, **found})
        return {"sha256": sha256}

    def pass_time(self, until: Callable[["World"], bool] = lambda world: not world.timers) -> "World":
        """Fires timers in the order they are due until a condition holds, by default until none is set."""
        while not until(self):
            due = heapq.nsmallest(1, self.timers.items(), key=lambda item: item[1])
            assert due, "nothing is due, and the condition does not hold"
            timer, at = due[0]
            del self.timers[timer]
            self.now = max(self.now, at)
            self.send(MessageKind.TIMER_FIRED, timer=timer)
        return self

    # -- results

    @property
    def output(self) -> Any:
        assert self.state.status == "completed", (self.state.status, self.state.error)
        assert verify(self.plan, self.execution, self.history) is None
        return self.state.output

    @property
    def error(self) -> Mapping[str, Any]:
        assert self.state.status == "faulted", self.state.status
        assert verify(self.plan, self.execution, self.history) is None
        return self.state.error

    def types(self, *wanted: str) -> list[str]:
        return [event.type for event in self.history if not wanted or event.type in wanted]

    def path(self) -> list[str]:
        """Names of the tasks in the order they were started."""
        return [str(event.task).rsplit("/", 1)[-1] for event in self.history if event.type == "task.started"]

    def of(self, type_: str, name: str = "") -> list[Event]:
        return [e for e in self.history if e.type == type_ and str(e.task).endswith(name)]


PENDING = object()


def echo(request: TaskRequest) -> Any:
    return request.arguments
