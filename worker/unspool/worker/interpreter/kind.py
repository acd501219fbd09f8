"""Base classes of the task kinds."""

from typing import Any

from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive, TaskList
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended
from unspool.worker.interpreter.flow import advance, complete, fail
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.state import Purpose


class Kind:
    """A kind of task without children, requests and timers. A kind overrides the methods that it needs."""

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Raises `AssertionError`: a kind with children overrides it."""
        raise AssertionError(f"{run.task} has no children")

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Any, child: Ended, error: WorkflowError
    ) -> None:
        """Raises `AssertionError`: a kind with children overrides it."""
        raise AssertionError(f"{run.task} has no children")

    def answered(self, builder: DecisionBuilder, run: Run, body: Any, output: Json) -> None:
        """Raises `AssertionError`: a kind that sends requests overrides it."""
        raise AssertionError(f"{run.task} sends no request")

    def event_received(self, builder: DecisionBuilder, run: Run, body: Any, event: CloudEvent) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} does not listen")

    def messages_received(self, builder: DecisionBuilder, run: Run, body: Any, data: dict[str, Json]) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} does not subscribe")

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Any, purpose: Purpose) -> None:
        """Raises `AssertionError`: a kind that sets timers overrides it."""
        raise AssertionError(f"{run.task} sets no {purpose} timer")

    def continued(self, builder: DecisionBuilder, run: Run, body: Any) -> None:
        """Does nothing, unless the kind overrides it."""


class InOrder(Kind):
    """A task whose children run one after another."""

    def tasks(self, body: Any, child: Ended) -> TaskList:
        """The list that contains a child."""
        tasks: TaskList = body.tasks
        return tasks

    def done(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Completes the run, because the last task of the list has ended."""
        complete(builder, run, run.data)

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Continues the list; `end` completes this run and every run around it (inventory H3)."""
        if child.directive == Directive.END:
            complete(builder, run, run.data, Directive.END)
        elif not advance(builder, run, self.tasks(body, child), child):
            self.done(builder, run, body, child)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Any, child: Ended, error: WorkflowError
    ) -> None:
        """Faults with the error of the child, unchanged (inventory I33)."""
        fail(builder, run, error)
