"""Sub-workflows that cannot start, though no task waits for them.

This is known after a decision. The messages are then decided again, with a function that tells the errors.
"""

from collections.abc import Callable

from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.eventstore.records import WorkflowRef
from unspool.worker.interpreter.run import Run

Refused = Callable[[Run, WorkflowRef, Json], WorkflowError | None]
"""Gets a run, the workflow that it starts, as the definition names it, and the input.

Returns the error if the workflow cannot start.
"""


def none_refused(_run: Run, _workflow: WorkflowRef, _input: Json) -> WorkflowError | None:
    """All sub-workflows can start, as far as is known."""
    return None
