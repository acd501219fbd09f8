"""Lists and counts of executions.

A page is read from one index, the most selective of those that a filter names; several statuses are several
ranges of it. The other members of the filter are conditions on the rows, of which one page reads a limited
number.
"""

from typing import Final

from unspool.eventstore.execution_search import Place, Walk, cursor_of, fits, joined, place_of
from unspool.eventstore.listing import Count, ExecutionFilter, Page
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.index import read_record
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.sqlite.search_sources import (
    NOT_BUILT_IN,
    Condition,
    Source,
    query,
    smallest,
    sources,
)

MOST_READ: Final = 10_000
"""Rows that one page reads, at most, when many do not match: less than 0.1 s."""

MOST_COUNTED: Final = 10_000
"""Executions of a status that are counted, at most: some milliseconds."""

_MOST_COMPARED: Final = 10_000
"""Rows of an index that are counted to choose one."""


class SqliteSearch(StoreMixin):
    """Lists and counts executions."""

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`."""
        below = None if cursor is None else place_of(cursor, criteria)

        def read(transaction: Transaction) -> Page:
            if criteria.id is not None:
                return _only(read_record(transaction, ExecutionKey(tenant, criteria.id)), criteria, below)
            return _page(transaction, tenant, criteria, limit, below)

        return await self._database.read(read)

    async def count_executions(self, tenant: str) -> dict[Status, Count]:
        """See `Histories`."""

        def read(transaction: Transaction) -> dict[Status, Count]:
            return {status: _count_of(transaction, tenant, status) for status in Status}

        return await self._database.read(read)


def _count_of(transaction: Transaction, tenant: str, status: Status) -> Count:
    by_status = "executions AS e INDEXED BY executions_by_status"
    of_status = f"SELECT 1 FROM {by_status} WHERE e.tenant = ? AND e.status = ? AND {NOT_BUILT_IN}"  # noqa: S608
    number = _size(transaction, Condition(of_status, (tenant, status.value)), MOST_COUNTED)
    return Count(number, number < MOST_COUNTED)


def _size(transaction: Transaction, rows: Condition, most: int) -> int:
    counting = f"SELECT count(*) FROM ({rows.sql} LIMIT ?)"  # noqa: S608 - our own text
    [[number]] = transaction.execute(counting, (*rows.values, most)).fetchall()
    return int(number)


def _only(record: ExecutionRecord | None, criteria: ExecutionFilter, below: Place | None) -> Page:
    matches = record is not None and below is None and fits(record, criteria)
    return Page((record,) if record is not None and matches else (), None)


def _page(
    transaction: Transaction, tenant: str, criteria: ExecutionFilter, limit: int, below: Place | None
) -> Page:
    source = smallest(sources(tenant, criteria), lambda rows: _size(transaction, rows, _MOST_COMPARED))
    walk = joined(
        (_walk(transaction, source, each, criteria, below, limit + 1) for each in source.ranges), limit + 1
    )
    shown = [read_record(transaction, ExecutionKey(tenant, place.id)) for place in walk.found[:limit]]
    items = tuple(record for record in shown if record is not None)
    if len(walk.found) > limit:
        return Page(items, cursor_of(walk.found[limit - 1], criteria))
    return Page(items, None if walk.end is None else cursor_of(walk.end, criteria))


def _walk(
    transaction: Transaction,
    source: Source,
    range_: Condition,
    criteria: ExecutionFilter,
    below: Place | None,
    most: int,
) -> Walk:
    """Reads a part of an index until it has found `most` executions, or has read its share of the rows."""
    share = MOST_READ // len(source.ranges)
    rows = transaction.execute(*query(source, range_, below, share, by_id=criteria.by_id))
    found: list[Place] = []
    read, last = 0, None
    for created, id_, matches in rows:
        read, last = read + 1, Place(created, id_)
        if matches:
            found.append(last)
        if len(found) == most:
            return Walk(found, last)
    return Walk(found, last if read == share else None)
