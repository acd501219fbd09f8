"""Settings of the transports of events."""

from dataclasses import dataclass

from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Where published events are sent to, and where events come from."""

    sink_url: str = setting(
        "UNSPOOL_EVENT_SINK_URL",
        "",
        "HTTP address that gets every published event; empty for none",
        secret=True,
    )
    sink_stream: str = setting(
        "UNSPOOL_EVENT_SINK_STREAM",
        "",
        "Redis stream that gets every published event: a name, or redis://HOST:PORT/DB?stream=NAME",
        secret=True,
    )
    sink_stream_length: int = setting(
        "UNSPOOL_EVENT_SINK_STREAM_LENGTH", 100_000, "Entries that this stream keeps, about"
    )
    source_streams: str = setting(
        "UNSPOOL_EVENTS_STREAM",
        "",
        "Redis streams whose entries are published, as names or URLs, separated by blanks",
        secret=True,
    )
    sink_broker: str = setting(
        "UNSPOOL_EVENT_SINK_BROKER",
        "",
        "Channel of a message broker that gets every published event: PROTOCOL://HOST:PORT?channel=NAME",
        secret=True,
    )
    source_brokers: str = setting(
        "UNSPOOL_EVENTS_BROKERS",
        "",
        "Channels of message brokers whose messages are published, as URLs, separated by blanks",
        secret=True,
    )
    sink_batch: int = setting(
        "UNSPOOL_EVENT_SINK_BATCH",
        1,
        "Events in one request, at most; 1: structured mode, more: batch mode",
        most=1_000,
    )
    sink_seconds: float = setting(
        "UNSPOOL_EVENT_SINK_SECONDS", 10.0, "Seconds that a request to the address may take"
    )
    sink_attempts: int = setting(
        "UNSPOOL_EVENT_SINK_ATTEMPTS",
        5,
        "Attempts after which an event that the address refuses is left out",
    )
    sink_longest_pause: float = setting(
        "UNSPOOL_EVENT_SINK_LONGEST_PAUSE", 60.0, "Longest pause between two attempts, in seconds"
    )
    sink_token: str = setting(
        "UNSPOOL_EVENT_SINK_TOKEN", "", "Name of the secret that requests to the address have as bearer token"
    )
    sink_signing_secret: str = setting(
        "UNSPOOL_EVENT_SINK_SIGNING_SECRET",
        "",
        "Name of the secret with which requests to the address are signed",
    )
