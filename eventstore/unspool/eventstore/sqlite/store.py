"""The event store on SQLite, composed of mixins."""

import time
from collections.abc import Callable
from pathlib import Path

from unspool.eventstore.clock import Clock, SystemClock
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.sqlite.api_keys import SqliteApiKeys
from unspool.eventstore.sqlite.commits import SqliteCommits
from unspool.eventstore.sqlite.database import Database
from unspool.eventstore.sqlite.dead_letters import SqliteDeadLetters
from unspool.eventstore.sqlite.definitions import SqliteDefinitions
from unspool.eventstore.sqlite.event_bus import SqliteEventBus
from unspool.eventstore.sqlite.functions import SqliteFunctions
from unspool.eventstore.sqlite.histories import SqliteHistories
from unspool.eventstore.sqlite.idempotency_keys import SqliteIdempotencyKeys
from unspool.eventstore.sqlite.inbox import SqliteInbox
from unspool.eventstore.sqlite.index import SqliteIndex
from unspool.eventstore.sqlite.matching import KnownShapes
from unspool.eventstore.sqlite.operations import SqliteOperations
from unspool.eventstore.sqlite.publishing import Publisher
from unspool.eventstore.sqlite.rate_limits import SqliteRateLimits
from unspool.eventstore.sqlite.retention import SqliteRetention
from unspool.eventstore.sqlite.search import SqliteSearch
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.sinks import SqliteSinks
from unspool.eventstore.sqlite.sources import SqliteSources
from unspool.eventstore.sqlite.stored_records import SqliteStoredRecords
from unspool.eventstore.sqlite.tasks import SqliteTasks
from unspool.eventstore.sqlite.texts import SqliteTexts
from unspool.eventstore.sqlite.timers import SqliteTimers


class SqliteStore(
    SqliteDefinitions,
    SqliteTexts,
    SqliteCommits,
    SqliteHistories,
    SqliteIdempotencyKeys,
    SqliteIndex,
    SqliteSearch,
    SqliteInbox,
    SqliteTasks,
    SqliteTimers,
    SqliteDeadLetters,
    SqliteEventBus,
    SqliteSinks,
    SqliteSources,
    SqliteFunctions,
    SqliteRateLimits,
    SqliteApiKeys,
    SqliteRetention,
    SqliteStoredRecords,
    SqliteOperations,
):
    """The port's `EventStore` in one file, which processes of one machine may share, or in memory."""

    def __init__(
        self,
        path: Path | None,
        settings: SqliteSettings,
        *,
        events: EventSettings | None = None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does not open the file; `open` does.

        Args:
            path: the file; None for a store in memory that ends with this object.
            settings: of this adapter.
            events: settings of the event bus; the defaults if it is None.
            clock: the store's clock; the machine's by default.
            monotonic: the clock of leases and heartbeats, the same for all processes.
        """
        self._database = Database(path, settings, clock or SystemClock(), monotonic)
        self._events = events or EventSettings()
        self._publisher = Publisher(self._events, self._database.clock)
        self._registered: set[str] = set()
        self._next_due_at: int | None = None
        self._shapes: dict[str, KnownShapes] = {}
        self._served_last = ""
        self._sent_last: dict[str, str] = {}

    async def open(self) -> None:
        """See `EventStore`."""
        await self._database.open()

    async def close(self) -> None:
        """See `EventStore`."""
        await self._database.close()

    async def ping(self) -> None:
        """See `EventStore`."""
        await self._database.read(lambda transaction: transaction.execute("SELECT 1 FROM meta").fetchone())
