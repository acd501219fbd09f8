"""How a page of executions is put together from several indexes, each read in the order of the list."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.ids import STORED_ID
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import ExecutionRecord

_CURSOR: Final = re.compile(rf"([0-9]{{0,18}})_({STORED_ID.pattern})")


class Place(NamedTuple):
    """A place in a list. Lists begin with the greatest place."""

    created: int
    """Milliseconds since 1970; 0 in a list by id."""
    id: str

    @classmethod
    def of(cls, record: ExecutionRecord, criteria: ExecutionFilter) -> "Place":
        """Returns the place of an execution in the list for a filter."""
        return cls(0 if criteria.by_id else record.created_at, record.key.id)


class Walk(NamedTuple):
    """A part of one index that was read, from a place on."""

    found: list[Place]
    """What fits, in order."""
    end: Place | None
    """The last place that was read; None if it was read to its end."""


def joined(walks: Iterable[Walk], most: int) -> Walk:
    """Joins parts of several indexes that begin at one place.

    The result ends where the first of them ends: what others have found behind that may not be next.
    """
    walks = list(walks)
    end = max((walk.end for walk in walks if walk.end is not None), default=None)
    found = {place for walk in walks for place in walk.found if end is None or place >= end}
    first = sorted(found, reverse=True)[:most]
    return Walk(first, first[-1] if len(first) < len(found) else end)


def cursor_of(place: Place, criteria: ExecutionFilter) -> str:
    """Returns the cursor of a page that ends at a place. In a list by id it has no time."""
    return f"{'' if criteria.by_id else place.created}_{place.id}"


def place_of(cursor: str, criteria: ExecutionFilter) -> Place:
    """Returns the place of a cursor in the list for a filter.

    Raises:
        ValueError: no page of such a list has this cursor.
    """
    match = _CURSOR.fullmatch(cursor)
    if match is None or (not match[1]) is not criteria.by_id:
        raise ValueError(f"not a cursor: {cursor[:200]!r}")
    return Place(int(match[1] or 0), match[2])


def fits(record: ExecutionRecord, criteria: ExecutionFilter) -> bool:
    """Returns whether an execution matches a filter. Built-in programs match only by their workflow."""
    return (
        (criteria.workflow is None or record.workflow[:2] == criteria.workflow)
        and (criteria.workflow is not None or not is_built_in(record.key.id))
        and criteria.version in (None, record.workflow.version)
        and (not criteria.statuses or record.status in criteria.statuses)
        and (criteria.since is None or record.created_at >= criteria.since)
        and (criteria.until is None or record.created_at < criteria.until)
        and criteria.id in (None, record.key.id)
        and record.key.id.startswith(criteria.id_prefix or "")
        and criteria.parent in (None, record.parent and record.parent.execution)
        and all(record.tags.get(name) == value for name, value in criteria.tags.items())
    )
