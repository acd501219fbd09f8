"""Executions of programs that are part of Unspool. Callers cannot name them, and lists do not show them.

Their ids and their namespace begin with `$`, which the ids and names that callers choose cannot.
"""

from typing import Final

from unspool.eventstore.records import ExecutionKey, WorkflowRef

NAMESPACE: Final = "$unspool"
"""The namespace of built-in programs."""

SCHEDULE: Final = WorkflowRef(NAMESPACE, "schedule", "1")
"""The program of schedules."""

_MARK: Final = "$"


def schedule_key(tenant: str, namespace: str, name: str) -> ExecutionKey:
    """The execution that is the schedule of a workflow."""
    return ExecutionKey(tenant, f"{_MARK}schedule.{namespace}.{name}")


def workflow_of_schedule(key: ExecutionKey) -> str:
    """The workflow whose schedule an execution is: `NAMESPACE.NAME`."""
    return key.id.removeprefix(f"{_MARK}schedule.")


def is_built_in(execution: str) -> bool:
    """Whether the id is one of an execution of a built-in program."""
    return execution.startswith(_MARK)
