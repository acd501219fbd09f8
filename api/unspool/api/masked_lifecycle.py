"""The mask of an execution in the lifecycle events that tell of it.

A lifecycle event shows an error and values of correlations, which a mask of the definition may name as they
stand in the history.
"""

from collections.abc import Sequence
from typing import Final

from unspool.api.masked_records import error_without, error_without_texts
from unspool.definitions.json_value import Json
from unspool.definitions.masking import Mask
from unspool.eventstore.ids import EXECUTION_ID
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import WorkflowRef
from unspool.worker.lifecycle_types import PREFIX

_LONGEST_SOURCE: Final = 2_200
"""Characters of `/NAMESPACE/NAME/VERSION`. A longer source is of no definition."""

_NAMES_IN_HISTORY: Final = {"error": "error", "correlationKeys": "keys"}
"""Members of the data that come from the history, each with its name there."""


def workflow_of_lifecycle(event: CloudEvent) -> WorkflowRef | None:
    """The workflow that a lifecycle event names as its source; None for another event."""
    type_, source = event.get("type"), event.get("source")
    if not (isinstance(type_, str) and type_.startswith(PREFIX) and isinstance(source, str)):
        return None
    match source.split("/") if len(source) <= _LONGEST_SOURCE else ():
        case "", namespace, name, version if namespace and name and version:
            return WorkflowRef(namespace, name, version)
        case _:
            return None


def execution_of_lifecycle(event: CloudEvent) -> str | None:
    """The execution that a lifecycle event with an error tells of; None if there is no such id or error."""
    data, id_ = event.get("data"), event.get("id")
    if not (isinstance(data, dict) and "error" in data and isinstance(id_, str)):
        return None
    execution = id_.partition("/")[0]
    return execution if EXECUTION_ID.fullmatch(execution) else None


def masked_lifecycle(mask: Mask, hidden: Sequence[str] | None, event: CloudEvent) -> CloudEvent:
    """A lifecycle event with the values masked that the mask hides in the history.

    Args:
        mask: that of the definition.
        hidden: values that are replaced in the texts of an error; None if they are not known, because the
            execution was deleted.
        event: the event.
    """
    data = event.get("data")
    if not isinstance(data, dict):
        return event
    shown = {
        name: _masked(mask, there, data[name]) for name, there in _NAMES_IN_HISTORY.items() if name in data
    }
    if "error" in shown:
        error = shown["error"]
        shown["error"] = error_without_texts(error) if hidden is None else error_without(hidden, error)
    return {**event, "data": {**data, **shown}}


def _masked(mask: Mask, name: str, value: Json) -> Json:
    applied = mask.applied({name: value})
    return applied[name] if isinstance(applied, dict) else applied
