"""Events as JSON, as the API, the command line and files show them."""

from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event


def event_json(event: Event) -> dict[str, Json]:
    """Returns an event as JSON. `task` and `run` are null for events of the workflow itself."""
    return {
        "seq": event.seq,
        "type": event.type,
        "time": rfc3339(event.time),
        "task": event.task,
        "run": event.run,
        "data": event.data,
    }
