"""The events that a test publishes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from unspool.definitions.cloud_events import SPEC_VERSION, problems_of
from unspool.definitions.durations import Duration, parse_duration
from unspool.definitions.json_value import Json
from unspool.eventstore.published_events import CloudEvent
from unspool.testing.json_values import as_json

_DEFAULTS: Final = {"specversion": SPEC_VERSION, "source": "/test"}


@dataclass(frozen=True, slots=True)
class Publication:
    """An event, and when it is published."""

    event: CloudEvent
    after: Duration | None
    """The time since the start of the test. None: when an execution listens and nothing else happens."""


def event(type_: str, data: Json = None, *, after: Json = None, **attributes: Any) -> Publication:
    """Returns an event for a test to publish.

    Args:
        type_: its type.
        data: its data.
        after: the virtual time since the start of the test, as a duration of the DSL. Without it, the event
            is published as soon as an execution listens and nothing else happens at that time.
        attributes: other attributes of the CloudEvent. `source` and `id` have defaults.

    Raises:
        ValueError: it is not a valid CloudEvent, its data is not JSON, or `after` is not a duration.
    """
    made: CloudEvent = {**_DEFAULTS, "type": type_, **attributes}
    if data is not None:
        made["data"] = as_json(data, "the data of the event")
    if problems := problems_of({"id": "1", **made}):
        raise ValueError("; ".join(problems))
    return Publication(made, None if after is None else parse_duration(after))


def with_ids(publications: Iterable[Publication]) -> list[Publication]:
    """Returns the events; those without an id get the number of their place."""
    return [
        Publication({"id": f"test-{place}", **each.event}, each.after)
        for place, each in enumerate(publications, start=1)
    ]
