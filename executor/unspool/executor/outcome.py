"""What a handler takes and what it gives back."""

from dataclasses import dataclass
from typing import Protocol

from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.eventstore.records import Message, MessageKind, TaskRequest


@dataclass(frozen=True, slots=True)
class Completed:
    """The task did what was asked."""

    output: Json

    def message(self, request: TaskRequest) -> Message:
        """The result as its execution is told."""
        return Message(
            MessageKind.TASK_COMPLETED, request.execution, {"run": request.run, "output": self.output}
        )


@dataclass(frozen=True, slots=True)
class Faulted:
    """The task came to an error that its author can catch."""

    error: WorkflowError

    def message(self, request: TaskRequest) -> Message:
        """The result as its execution is told."""
        return Message(
            MessageKind.TASK_FAULTED, request.execution, {"run": request.run, "error": self.error.to_json()}
        )


Outcome = Completed | Faulted


class Handler(Protocol):
    """Does the tasks of one queue."""

    async def __call__(self, request: TaskRequest) -> Outcome:
        """Does one task, at least once for each request.

        It may be cancelled at any await, and is when the deadline has come. An exception means a defect of
        the handler or of the machine: the task is tried again and in the end goes to the dead letters.
        """


class Rejected(Exception):
    """Leaves a handler's inner functions with the error that becomes its outcome."""

    def __init__(self, error: WorkflowError) -> None:
        super().__init__(error.detail)
        self.error = error
