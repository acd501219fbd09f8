"""One execution of a test: its state and its history, by the same interpreter as in a worker."""

from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.plan import Plan, Task
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message, WorkflowRef
from unspool.worker.interpreter import Decision, State, decide
from unspool.worker.interpreter.run import Phase

_WAITING: Final = {
    Phase.REQUESTED: "its result",
    Phase.WAITING: "a timer",
    Phase.AWAITING: "its sub-workflow",
    Phase.LISTENING: "events",
    Phase.CONSUMING: "messages",
    Phase.FETCHING: "an external resource",
}


@dataclass(slots=True)
class Execution:
    """An execution, and what it is subscribed to."""

    id: str
    plan: Plan
    parent: str | None = None
    """The id of the execution that started it."""
    state: State = field(init=False)
    history: list[Event] = field(default_factory=list)
    listening: dict[str, None] = field(default_factory=dict)
    """The runs with an open subscription, in order."""

    def __post_init__(self) -> None:
        self.state = State(self.id)

    def step(self, message: Message, now: int) -> Decision:
        """Decides what a message leads to, and applies it. `now` is in milliseconds since 1970."""
        decision = decide(self.plan, self.state, message, now)
        self.state = decision.state
        self.history += decision.events
        for run, entries in decision.subscriptions.items():
            self.listening.pop(run, None) if entries is None else self.listening.setdefault(run)
        return decision

    def task(self, pointer: str) -> Task:
        """Returns the task with a pointer."""
        return self.plan.tasks[pointer]

    @property
    def ref(self) -> WorkflowRef:
        """Namespace, name and version of its workflow."""
        return WorkflowRef(self.plan.namespace, self.plan.name, self.plan.version)

    @property
    def workflow(self) -> str:
        """Namespace and name of its workflow."""
        return f"{self.plan.namespace}/{self.plan.name}"

    @property
    def waits_for(self) -> str:
        """What its tasks wait for, in words."""
        return ", ".join(
            f"task '{self.task(run.task).name}' ({run.task}) waits for {_WAITING[run.phase]}"
            for run in self.state.runs.values()
            if run.phase in _WAITING
        )
