"""Lifecycle CloudEvents: the projection of histories that the specification describes.

Source: dsl-reference.md, "Lifecycle Events" (inventory T4, T6). The commit that stores an event of the
history publishes its lifecycle event, so each is published once, in the order of the history.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from unspool.definitions.cloud_events import SPEC_VERSION
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import WorkflowRef
from unspool.worker.interpreter.run import ROOT, Phase
from unspool.worker.interpreter.state import State
from unspool.worker.lifecycle_types import PREFIX, TIMES

_TASKS_TOO: Final = {"workflow.suspended": "task.suspended", "workflow.resumed": "task.resumed"}


def lifecycle_events(
    execution: str, workflow: WorkflowRef, before: State, events: Sequence[Event]
) -> Iterator[CloudEvent]:
    """Yields the lifecycle events of a decision, in the order of its events.

    Args:
        execution: the execution's id.
        workflow: its definition.
        before: its state before the decision. Only the first event suspends or resumes it.
        events: what was decided.
    """
    for event in events:
        if event.type not in TIMES:
            continue
        yield _cloud_event(execution, workflow, event, event.type, event.task)
        if event.type in _TASKS_TOO:
            for run in sorted(before.runs.values(), key=lambda run: int(run.id)):
                if run.id != ROOT and run.phase is not Phase.CREATED:
                    yield _cloud_event(execution, workflow, event, _TASKS_TOO[event.type], run.task, run.id)


def _cloud_event(
    execution: str, workflow: WorkflowRef, event: Event, type_: str, task: str | None, run: str = ""
) -> CloudEvent:
    name = f"{workflow.name}-{execution}.{workflow.namespace}"
    time = rfc3339(event.time)
    data = {**_subject(name, type_, task), TIMES[type_]: time}
    return {
        "specversion": SPEC_VERSION,
        "id": f"{execution}/{event.seq}" + (f"/{run}" if run else ""),
        "source": f"/{workflow.namespace}/{workflow.name}/{workflow.version}",
        "type": f"{PREFIX}.{type_}.v1",
        "subject": name,
        "time": time,
        "datacontenttype": "application/json",
        "data": data | _details(execution, workflow, event, type_),
    }


def _subject(name: str, type_: str, task: str | None) -> dict[str, Json]:
    return {"name": name} if type_.startswith("workflow.") else {"workflow": name, "task": task}


def _details(execution: str, workflow: WorkflowRef, event: Event, type_: str) -> dict[str, Json]:
    """Returns what `DETAILS` describes."""
    match type_:
        case "workflow.started":
            return {"definition": workflow._asdict()}
        case "workflow.faulted" | "task.faulted":
            return {"error": event.data["error"]}
        case "workflow.correlation-completed" if "keys" in event.data:
            return {"correlationKeys": event.data["keys"]}
        case "workflow.completed":
            return {"outputUri": f"/api/v1/executions/{execution}"}
        case "task.completed":
            return {"outputUri": f"/api/v1/executions/{execution}/events?after={event.seq - 1}&limit=1"}
        case _:
            return {}
