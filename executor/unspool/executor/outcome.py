"""The interface of a handler: it takes a task request and returns an outcome."""

from dataclasses import dataclass
from typing import NoReturn, Protocol

from unspool.definitions.errors import WorkflowError, configuration
from unspool.definitions.json_value import Json
from unspool.eventstore.records import Message, MessageKind, TaskRequest
from unspool.executor.task_context import TaskContext


@dataclass(frozen=True, slots=True)
class Completed:
    """The task succeeded."""

    output: Json

    def message(self, request: TaskRequest) -> Message:
        """The message to the execution."""
        return Message(
            MessageKind.TASK_COMPLETED, request.execution, {"run": request.run, "output": self.output}
        )


@dataclass(frozen=True, slots=True)
class Faulted:
    """The task failed with an error that the workflow can catch."""

    error: WorkflowError

    def message(self, request: TaskRequest) -> Message:
        """The message to the execution."""
        return Message(
            MessageKind.TASK_FAULTED, request.execution, {"run": request.run, "error": self.error.to_json()}
        )


@dataclass(frozen=True, slots=True)
class FetchedText:
    """The task has fetched a text. It is stored by its hash, and the execution gets the hash."""

    text: str
    media_type: str = ""
    """Without parameters; empty if it is not known."""

    def stored(self, sha256: str) -> Completed:
        """The outcome after the text was stored."""
        known = {"mediaType": self.media_type} if self.media_type else {}
        return Completed({"sha256": sha256, **known})


Outcome = Completed | Faulted | FetchedText


class Handler(Protocol):
    """Runs the tasks of one kind."""

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs one task. The same request can be delivered more than once.

        The call is cancelled at the deadline, and can be cancelled at any await. An exception means a bug of
        the handler or a failure of the machine: the task is retried, then moved to the dead letter queue.
        """


class HandedBack(Exception):
    """Raised by a handler that cannot run a task, for another executor. The attempt is not counted."""


class Rejected(Exception):
    """Raised inside a handler with the error that becomes its outcome."""

    def __init__(self, error: WorkflowError) -> None:
        super().__init__(error.detail)
        self.error = error


def reject(detail: str) -> NoReturn:
    """Raises `Rejected` with a `configuration` error."""
    raise Rejected(configuration(detail))
