"""Settings of the event bus, the same for every adapter."""

from dataclasses import dataclass

from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class EventSettings:
    """How the bus treats published events."""

    deduplication_seconds: float = setting(
        "UNSPOOL_EVENT_DEDUPLICATION",
        3600.0,
        "Seconds in which an event with the same source and id is published only once; 0: no such check",
    )
