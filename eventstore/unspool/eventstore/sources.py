"""Sources of events outside, such as streams: a part of the port of the event store.

The store only has their figures, for health checks and metrics.
"""

from typing import Final, NamedTuple, Protocol

SHOWN_MILLISECONDS: Final = 24 * 3_600_000
"""A source that no process has read for this time is not shown."""


class SourceStatus(NamedTuple):
    """A source of events, with the sums over all processes that read it."""

    name: str
    seen_at: int
    """When a process last recorded something, in milliseconds since 1970."""
    published: int = 0
    refused: int = 0
    """Entries that were no events and were left out."""
    failing_since: int | None = None
    """Since when it cannot be read, in milliseconds since 1970; None if it can."""
    failure: str = ""
    """The last failure."""


class EventSources(Protocol):
    """The figures of sources of events."""

    async def record_source(
        self, name: str, *, published: int = 0, refused: int = 0, failure: str = ""
    ) -> None:
        """Adds to the counts of a source, and notes whether it can be read. Call it at least every minute.

        Args:
            name: of the source.
            published: events that were published since the last call.
            refused: entries that were left out since the last call.
            failure: why the source cannot be read, in one line; empty if it can.
        """

    async def sources(self) -> list[SourceStatus]:
        """The sources that were read in the last 24 hours, by name."""
