"""Sinks, to which published events are sent: a part of the port of the event store.

The store only remembers how far each sink has got on the bus of each tenant. A sender reads the events, sends
them and records the progress.
"""

import logging
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.published_events import EventBatch

log = logging.getLogger(__name__)


class SinkProgress(NamedTuple):
    """How far a sink has got with a batch."""

    tenant: str
    after: str
    """`EventBatch.after` of the batch."""
    position: str
    """The sink has passed all events up to this position: they were sent, or finally refused."""
    sent: int = 0
    refused: int = 0
    failure: str = ""
    """Why the next event could not be sent, in one line; empty if nothing failed."""


class SinkStatus(NamedTuple):
    """A sink, with the sums over all tenants."""

    name: str
    kept_at: int
    """When a sender last kept it registered, in milliseconds since 1970."""
    lag: int = 0
    """Events that the sink has not passed yet."""
    sent: int = 0
    refused: int = 0
    dropped: int = 0
    """Events that were deleted because the sink was away too long."""
    failures: int = 0
    failing_since: int | None = None
    """Since when events of a tenant cannot be sent, in milliseconds since 1970; None if nothing fails."""
    failure: str = ""
    """The last failure of the tenant that fails longest."""


class EventSinks(Protocol):
    """The registered sinks, and how far each has got on the bus of each tenant.

    Senders send the events of a tenant to a sink in order, at least once. The bus keeps the events that a
    registered sink has not passed, but at most `UNSPOOL_EVENT_SINK_BACKLOG` matched events of a tenant.
    Beyond that it drops the oldest ones, counts them and logs a warning.
    """

    async def keep_sinks(self, names: Collection[str]) -> list[str]:
        """Registers sinks, or keeps them registered. Call it at the start and then about every minute.

        A new sink begins with the events that are published after the call. A sink that was not kept for
        `UNSPOOL_EVENT_SINK_EXPIRY` hours is forgotten.

        Returns:
            The names of the sinks that this call forgot.
        """

    async def receive_for_sink(
        self,
        consumer: Consumer,
        sink: str,
        limit: int,
        seconds: float,
        skip: frozenset[str] = frozenset(),
    ) -> EventBatch | None:
        """The oldest events of one tenant that a sink has not passed, at most `limit`.

        Waits up to `seconds` for one; then returns None. Tenants are served in turn, without those in `skip`.
        Until progress without a failure is recorded, other consumers do not get the tenant's events for the
        sink, unless this consumer is gone.
        """

    async def record_progress(self, consumer: Consumer, sink: str, progress: SinkProgress) -> None:
        """Remembers how far a sink has got. A position before the remembered one changes only the counts.

        With a failure, the consumer keeps the events of the tenant for itself: it tries again later.
        """

    async def sinks(self) -> list[SinkStatus]:
        """The registered sinks, by name."""


def summed(sink: SinkStatus, parts: Iterable[SinkStatus]) -> SinkStatus:
    """The status of a sink, from its parts for each tenant."""
    failing: SinkStatus | None = None
    for part in parts:
        sink = sink._replace(
            lag=sink.lag + part.lag,
            sent=sink.sent + part.sent,
            refused=sink.refused + part.refused,
            dropped=sink.dropped + part.dropped,
            failures=sink.failures + part.failures,
        )
        if part.failing_since is not None and (
            failing is None or part.failing_since < (failing.failing_since or 0)
        ):
            failing = part
    if failing is None:
        return sink
    return sink._replace(failing_since=failing.failing_since, failure=failing.failure)


def log_dropped(sink: str, tenant: str, count: int) -> None:
    """Logs that events were deleted before they were sent to a sink."""
    log.warning(
        "%d events of tenant %s were deleted before they were sent to the sink %s: it was away too long",
        count, tenant, sink,
        extra={"action": "events_dropped", "tenant": tenant, "sink": sink, "count": count},
    )  # fmt: skip


def log_forgotten(sink: str) -> None:
    """Logs that a sink was forgotten."""
    log.warning(
        "the sink %s was not configured for a long time; its place on the event bus is forgotten",
        sink,
        extra={"action": "sink_forgotten", "sink": sink},
    )
