"""The figures of sources of events: fields of one hash."""

from collections import defaultdict

from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.sources import SHOWN_MILLISECONDS, SourceStatus


class RedisSources:
    """The sources of events of the store."""

    _session: Session

    async def record_source(
        self, name: str, *, published: int = 0, refused: int = 0, failure: str = ""
    ) -> None:
        """See `EventSources`."""
        await self._session.run(scripts.RECORD_SOURCE, (keys.SOURCES,), (name, published, refused, failure))

    async def sources(self) -> list[SourceStatus]:
        """See `EventSources`."""
        reply = await self._session.call("HGETALL", keys.SOURCES)
        if not reply:
            return []
        now = await self._session.milliseconds()
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for field, value in zip(reply[::2], reply[1::2], strict=True):
            kind, _, name = field.decode().partition(" ")
            found[name][kind] = value.decode()
        all_sources = [_status(name, fields) for name, fields in sorted(found.items())]
        return [each for each in all_sources if each.seen_at > now - SHOWN_MILLISECONDS]


def _status(name: str, fields: dict[str, str]) -> SourceStatus:
    return SourceStatus(
        name=name,
        seen_at=int(fields["seen"]),
        published=int(fields.get("published", 0)),
        refused=int(fields.get("refused", 0)),
        failing_since=int(fields["since"]) if "since" in fields else None,
        failure=fields.get("failure", ""),
    )
