"""Lists and counts of executions. A page joins what the shards have, which one script reads for each.

The script reads one index of the shard: the smallest of those that a filter names. The others are conditions.
The search for a page ends after a number of calls, so rare combinations are found over several pages.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from unspool.eventstore.built_in import NAMESPACE, SCHEDULE
from unspool.eventstore.execution_search import Place, Walk, cursor_of, fits, joined, place_of
from unspool.eventstore.listing import Count, ExecutionFilter, Page
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.index import RedisIndex
from unspool.eventstore.redis.keys import Shard

MOST_READ: Final = 500
"""Executions that one call of the script reads, at most: less than a millisecond."""

MOST_CALLS: Final = 8
"""Calls for one page, in each shard."""

_MOST_SCHEDULES: Final = 1_000


class _Index(NamedTuple):
    """Sorted sets of one shard. An execution that has what the filter wants is in one of them."""

    keys: tuple[str, ...]


class RedisSearch(RedisIndex):
    """Lists and counts executions."""

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`."""
        below = None if cursor is None else place_of(cursor, criteria)
        if criteria.id is not None:
            record = None if below else await self.execution(ExecutionKey(tenant, criteria.id))
            return Page((record,) if record is not None and fits(record, criteria) else (), None)
        read_by = await self._choice(tenant, criteria)
        found: list[ExecutionRecord] = []
        for _ in range(MOST_CALLS):
            places, below = await self._places(tenant, criteria, read_by, below, limit + 1 - len(found))
            found += await self._records(tenant, places, criteria)
            if len(found) > limit:
                return Page(tuple(found[:limit]), cursor_of(Place.of(found[limit - 1], criteria), criteria))
            if below is None:
                return Page(tuple(found), None)
        return Page(tuple(found), None if below is None else cursor_of(below, criteria))

    async def count_executions(self, tenant: str) -> dict[Status, Count]:
        """See `Histories`."""
        shards = self._session.keys.tenant(tenant).shards
        sizes = await asyncio.gather(
            *(self._session.call("ZCARD", key) for shard in shards for key in shard.statuses)
        )
        numbers = {status: sum(sizes[place :: len(Status)]) for place, status in enumerate(Status)}
        for status in await self._of_schedules(tenant, shards):
            numbers[status] -= 1
        return {status: Count(max(0, number), exact=True) for status, number in numbers.items()}

    async def _of_schedules(self, tenant: str, shards: Sequence[Shard]) -> list[Status]:
        """The statuses of the schedules, which are executions that lists do not show."""
        keys = [shard.workflow(NAMESPACE, SCHEDULE.name) for shard in shards]
        pages = await asyncio.gather(
            *(self._session.call("ZRANGE", key, 0, _MOST_SCHEDULES - 1) for key in keys)
        )
        schedules = [ExecutionKey(tenant, id_.decode()) for page in pages for id_ in page]
        records = await asyncio.gather(*map(self.execution, schedules))
        return [record.status for record in records if record is not None]

    async def _choice(self, tenant: str, criteria: ExecutionFilter) -> int | None:
        """Which of the indexes of a filter has the fewest executions of its times; None if it names none."""
        choices = len(_indexes(self._session.keys.tenant(tenant).shards[0], criteria))
        if choices < 2 or criteria.by_id:
            return 0 if choices and not criteria.by_id else None
        return min(zip(await self._sizes(tenant, criteria, choices), range(choices), strict=True))[1]

    async def _sizes(self, tenant: str, criteria: ExecutionFilter, choices: int) -> list[int]:
        oldest, newest = _times(criteria)
        bounds = (oldest, newest if newest == "+inf" else f"({newest}")
        sizes = [0] * choices
        counting = [
            (choice, self._session.call("ZCOUNT", key, *bounds))
            for shard in self._session.keys.tenant(tenant).shards
            for choice, index in enumerate(_indexes(shard, criteria))
            for key in index.keys
        ]
        numbers = await asyncio.gather(*(call for _, call in counting))
        for (choice, _), number in zip(counting, numbers, strict=True):
            sizes[choice] += number
        return sizes

    async def _places(
        self, tenant: str, criteria: ExecutionFilter, read_by: int | None, below: Place | None, most: int
    ) -> Walk:
        """The next places of the list, `most` of them or fewer, and how far the indexes were read."""
        walks = []
        for shard in self._session.keys.tenant(tenant).shards:
            indexes = _indexes(shard, criteria)
            if read_by is None:
                read = _Index((shard.ids if criteria.by_id else shard.index,))
            else:
                read = indexes.pop(read_by)
            walks += [self._walk(shard, key, indexes, criteria, below, most) for key in read.keys]
        return joined(await asyncio.gather(*walks), most)

    async def _walk(
        self,
        shard: Shard,
        read: str,
        conditions: list[_Index],
        criteria: ExecutionFilter,
        below: Place | None,
        most: int,
    ) -> Walk:
        names = (read, shard.index, *(key for condition in conditions for key in condition.keys))
        prefix = criteria.id_prefix or ""
        values = (
            int(criteria.by_id),
            prefix,
            *_times(criteria),
            *(("", "") if below is None else below),
            most,
            MOST_READ,
            int(criteria.workflow is not None),
            prefix + "\x7f",
            *(len(condition.keys) for condition in conditions),
        )
        found, (end_time, end_id) = await self._session.run(scripts.SEARCH, names, values)
        places = [_place(time, id_, criteria) for time, id_ in zip(found[::2], found[1::2], strict=True)]
        return Walk(places, _place(end_time, end_id, criteria) if end_id else None)

    async def _records(
        self, tenant: str, places: Sequence[Place], criteria: ExecutionFilter
    ) -> list[ExecutionRecord]:
        records = await asyncio.gather(*(self.execution(ExecutionKey(tenant, place.id)) for place in places))
        # An execution may have changed since its index was read.
        return [record for record in records if record is not None and fits(record, criteria)]


def _indexes(shard: Shard, criteria: ExecutionFilter) -> list[_Index]:
    """The indexes of what a filter names, in a fixed order."""
    indexes = [_Index((shard.tag(*tag),)) for tag in criteria.tags.items()]
    if criteria.parent is not None:
        indexes.append(_Index((shard.parent(criteria.parent),)))
    if criteria.workflow is not None:
        indexes.append(_Index((shard.workflow(*criteria.workflow),)))
    if criteria.statuses:
        indexes.append(_Index(tuple(shard.status(status) for status in sorted(criteria.statuses))))
    return indexes


def _times(criteria: ExecutionFilter) -> tuple[int | str, int | str]:
    oldest, newest = criteria.since, criteria.until
    return ("-inf" if oldest is None else oldest, "+inf" if newest is None else newest)


def _place(time: bytes, id_: bytes, criteria: ExecutionFilter) -> Place:
    return Place(0 if criteria.by_id else int(time), id_.decode())
