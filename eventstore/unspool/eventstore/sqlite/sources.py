"""The figures of sources of events."""

from typing import Final

from unspool.eventstore.sources import SHOWN_MILLISECONDS, SourceStatus
from unspool.eventstore.sqlite.mixin import StoreMixin

_RECORD: Final = (
    "INSERT INTO sources (name, seen_at, published, refused, failing_since, failure)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at,"
    " published = published + excluded.published, refused = refused + excluded.refused,"
    " failure = excluded.failure, failing_since = CASE WHEN excluded.failure = '' THEN NULL"
    " ELSE coalesce(failing_since, excluded.failing_since) END"
)
_ALL: Final = (
    "SELECT name, seen_at, published, refused, failing_since, failure FROM sources WHERE seen_at > ?"
    " ORDER BY name"
)


class SqliteSources(StoreMixin):
    """The sources of events of the store."""

    async def record_source(
        self, name: str, *, published: int = 0, refused: int = 0, failure: str = ""
    ) -> None:
        """See `EventSources`."""
        now = self._database.clock.now()
        row = (name, now, published, refused, now if failure else None, failure)
        await self._database.write(lambda transaction: transaction.execute(_RECORD, row), durable=False)

    async def sources(self) -> list[SourceStatus]:
        """See `EventSources`."""
        earliest = self._database.clock.now() - SHOWN_MILLISECONDS
        rows = await self._database.read(
            lambda transaction: transaction.execute(_ALL, (earliest,)).fetchall()
        )
        return [SourceStatus(*row) for row in rows]
