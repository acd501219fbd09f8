"""What is known of sub-workflows that no task waits for and that cannot start.

A workflow that is unknown, or nested too deep, cannot start at all. One without an idempotency key cannot
start with one input. The ids of runs say nothing: they change when the messages are decided again.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.eventstore.records import WorkflowRef
from unspool.worker.interpreter.run import Run


class Refusal(NamedTuple):
    """What cannot start."""

    workflow: WorkflowRef
    """As the definition names it."""
    input: str | None = None
    """As JSON; None: any input."""

    @classmethod
    def of_input(cls, workflow: WorkflowRef, input_: Json) -> "Refusal":
        """A workflow that cannot start with this input."""
        return cls(workflow, json.dumps(input_, sort_keys=True))


class StartRefused(Exception):
    """Sub-workflows that no task waits for cannot start."""

    def __init__(self, errors: Mapping[Refusal, WorkflowError]) -> None:
        super().__init__(", ".join(str(refusal.workflow) for refusal in errors))
        self.errors = errors


class Refusals:
    """The refusals up to now, while the messages of an execution are decided again."""

    def __init__(self) -> None:
        self._errors: dict[Refusal, WorkflowError] = {}

    def add(self, cause: StartRefused) -> None:
        """Adds those that were found now."""
        self._errors |= cause.errors

    def __call__(self, _run: Run, workflow: WorkflowRef, input_: Json) -> WorkflowError | None:
        """The error of a sub-workflow that cannot start."""
        if not self._errors:
            return None
        always = self._errors.get(Refusal(workflow))
        return always or self._errors.get(Refusal.of_input(workflow, input_))
