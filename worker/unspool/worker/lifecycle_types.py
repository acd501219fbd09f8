"""The types of lifecycle CloudEvents, and their data (dsl-reference.md, "Lifecycle Events")."""

from typing import Final

PREFIX: Final = "io.serverlessworkflow"

TIMES: Final = {
    "workflow.started": "startedAt",
    "workflow.suspended": "suspendedAt",
    "workflow.resumed": "resumedAt",
    "workflow.correlation-started": "startedAt",
    "workflow.correlation-completed": "completedAt",
    "workflow.cancelled": "cancelledAt",
    "workflow.faulted": "faultedAt",
    "workflow.completed": "completedAt",
    "task.created": "createdAt",
    "task.started": "startedAt",
    "task.suspended": "suspendedAt",
    "task.resumed": "resumedAt",
    "task.retried": "retriedAt",
    "task.cancelled": "cancelledAt",
    "task.faulted": "faultedAt",
    "task.completed": "completedAt",
}
"""The types of lifecycle events, each with the member of its data that has the time."""

DETAILS: Final = {
    "workflow.started": {"definition": "namespace, name and version of the definition"},
    "workflow.faulted": {"error": "the error, an RFC 7807 object"},
    "task.faulted": {"error": "the error, an RFC 7807 object"},
    "workflow.correlation-completed": {"correlationKeys?": "the values of the correlations, by name"},
    "workflow.completed": {"outputUri": "path of the API with the execution, which has the output"},
    "task.completed": {"outputUri": "path of the API with the event of the history, which has the output"},
}
"""What the data of a type has besides its subject and time; docs/reference/events.md shows it."""
