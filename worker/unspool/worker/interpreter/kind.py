"""What task kinds have in common, unless one overrides it."""

from typing import Any

from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive, TaskList
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended
from unspool.worker.interpreter.flow import advance, complete, fail
from unspool.worker.interpreter.state import Purpose, Run


class Kind:
    """A kind of task to which none of this can happen; each overrides what can."""

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} has no children")

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Any, child: Ended, error: WorkflowError
    ) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} has no children")

    def answered(self, builder: DecisionBuilder, run: Run, body: Any, output: Json) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} asks no executor")

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Any, purpose: Purpose) -> None:
        """Never called, unless the kind overrides it."""
        raise AssertionError(f"{run.task} sets no {purpose} timer")


class InOrder(Kind):
    """A task whose children run one after another; it names their list and what comes after it."""

    def tasks(self, body: Any, child: Ended) -> TaskList:
        """The list a child stands in."""
        tasks: TaskList = body.tasks
        return tasks

    def done(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """The list has come to its end."""
        complete(builder, run, run.data)

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Goes on in the list; `end` goes all the way up (inventory H3)."""
        if child.directive == Directive.END:
            complete(builder, run, run.data, Directive.END)
        elif not advance(builder, run, self.tasks(body, child), child):
            self.done(builder, run, body, child)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Any, child: Ended, error: WorkflowError
    ) -> None:
        """An error that is not caught here goes on to the parent, unchanged (inventory I33)."""
        fail(builder, run, error)
