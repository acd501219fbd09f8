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
    retention_seconds: float = setting(
        "UNSPOOL_EVENT_RETENTION",
        0.0,
        "Seconds in which a task that begins to listen still gets events that were published before; 0: none",
    )
    kept_for_sinks: int = setting(
        "UNSPOOL_EVENT_SINK_BACKLOG",
        100_000,
        "Events of a tenant that are kept for a sink that is away, at most; then the oldest are dropped",
    )
    sink_expiry_hours: float = setting(
        "UNSPOOL_EVENT_SINK_EXPIRY",
        168.0,
        "Hours after which the place of a sink that is no longer configured is forgotten",
    )
