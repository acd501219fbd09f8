"""What a list of executions can be read from: the indexes that a filter names, as parts of SQL queries."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from unspool.eventstore.execution_search import Place
from unspool.eventstore.listing import ExecutionFilter

NOT_BUILT_IN: Final = "NOT (e.id >= '$' AND e.id < '%')"

_PARENT: Final = "json_extract(CAST(e.parent AS TEXT), '$[0]') = ? AND e.parent IS NOT NULL"
_TAGGED: Final = (
    "EXISTS (SELECT 1 FROM execution_tags AS o WHERE o.tenant = e.tenant AND o.name = ? AND o.value = ?"
    " AND o.created_at = e.created_at AND o.id = e.id)"
)


class Condition(NamedTuple):
    """A part of a `WHERE` clause, with its values."""

    sql: str
    values: tuple[Any, ...]


class Source(NamedTuple):
    """An index to read a list from. The table of executions is `e`."""

    tables: str
    table: str
    """The table that has the index: `e`, or `t` for tags."""
    ranges: tuple[Condition, ...]
    """Parts of the index: a row belongs to one of them."""
    rest: tuple[Condition, ...] = ()
    """What a row also has to match."""


def sources(tenant: str, criteria: ExecutionFilter) -> list[Source]:
    """Returns every index that a list can be read from; never none."""
    if criteria.id_prefix is not None:
        prefix = criteria.id_prefix
        ids = Condition("e.tenant = ? AND e.id >= ? AND e.id < ?", (tenant, prefix, prefix + "\x7f"))
        return [Source("executions AS e", "e", (ids,), (*_rest(criteria), *_times("e", criteria)))]
    named = list(_named(tenant, criteria))
    newest = Source(
        _indexed("executions_newest"), "e", (Condition("e.tenant = ?", (tenant,)),), _rest(criteria)
    )
    return [_between(source, criteria) for source in named or [newest]]


def _named(tenant: str, criteria: ExecutionFilter) -> Iterator[Source]:
    """The indexes of what the filter names, each without the condition that it fulfils itself."""
    for tag in criteria.tags.items():
        of_tag = Condition("t.tenant = ? AND t.name = ? AND t.value = ?", (tenant, *tag))
        tables = "execution_tags AS t CROSS JOIN executions AS e ON e.tenant = t.tenant AND e.id = t.id"
        yield Source(tables, "t", (of_tag,), _rest(criteria, Condition(_TAGGED, tag)))
    if criteria.parent is not None:
        parent = Condition(_PARENT, (criteria.parent,))
        yield Source(_indexed("executions_by_parent"), "e", (_of(tenant, parent),), _rest(criteria, parent))
    if criteria.workflow is not None:
        workflow = Condition("e.namespace = ? AND e.name = ?", criteria.workflow)
        yield Source(
            _indexed("executions_by_workflow"), "e", (_of(tenant, workflow),), _rest(criteria, workflow)
        )
    if criteria.statuses:
        ranges = [_of(tenant, Condition("e.status = ?", (each.value,))) for each in sorted(criteria.statuses)]
        rest = _rest(criteria, _status(criteria))
        yield Source(_indexed("executions_by_status"), "e", tuple(ranges), rest)


def _rest(criteria: ExecutionFilter, fulfilled: Condition | None = None) -> tuple[Condition, ...]:
    """All conditions of a filter on a row, without one that its index fulfils."""
    conditions = [Condition(_TAGGED, tag) for tag in criteria.tags.items()]
    if criteria.parent is not None:
        conditions.append(Condition(_PARENT, (criteria.parent,)))
    if criteria.workflow is not None:
        conditions.append(Condition("e.namespace = ? AND e.name = ?", criteria.workflow))
    else:
        conditions.append(Condition(NOT_BUILT_IN, ()))
    if criteria.version is not None:
        conditions.append(Condition("e.definition_version = ?", (criteria.version,)))
    if criteria.statuses:
        conditions.append(_status(criteria))
    return tuple(each for each in conditions if each != fulfilled)


def _status(criteria: ExecutionFilter) -> Condition:
    values = tuple(sorted(criteria.statuses))
    return Condition(f"e.status IN ({', '.join('?' * len(values))})", values)


def _of(tenant: str, condition: Condition) -> Condition:
    return Condition(f"e.tenant = ? AND {condition.sql}", (tenant, *condition.values))


def _indexed(index: str) -> str:
    return f"executions AS e INDEXED BY {index}"


def _between(source: Source, criteria: ExecutionFilter) -> Source:
    """The source with its ranges limited to the times of the filter."""
    times = _times(source.table, criteria)
    return source._replace(ranges=tuple(together((range_, *times)) for range_ in source.ranges))


def _times(table: str, criteria: ExecutionFilter) -> list[Condition]:
    times = (f"{table}.created_at >= ?", criteria.since), (f"{table}.created_at < ?", criteria.until)
    return [Condition(sql, (time,)) for sql, time in times if time is not None]


def together(conditions: Iterable[Condition]) -> Condition:
    """Joins conditions that are all to be met."""
    conditions = list(conditions)
    sql = " AND ".join(each.sql for each in conditions) or "1"
    return Condition(sql, tuple(value for each in conditions for value in each.values))


def query(source: Source, range_: Condition, below: Place | None, most: int, *, by_id: bool) -> Condition:
    """Returns the query for a part of a source: places in order, and whether the row matches the rest."""
    table = source.table
    columns = [f"{table}.id"] if by_id else [f"{table}.created_at", f"{table}.id"]
    if below is not None:
        place = (below.id,) if by_id else tuple(below)
        after = Condition(f"({', '.join(columns)}) < ({', '.join('?' * len(place))})", place)
        range_ = together((range_, after))
    rest = together(source.rest)
    sql = (
        f"SELECT {'0' if by_id else f'{table}.created_at'}, {table}.id, {rest.sql}"  # noqa: S608 - our own text
        f" FROM {source.tables} WHERE {range_.sql}"
        f" ORDER BY {', '.join(f'{column} DESC' for column in columns)} LIMIT ?"
    )
    return Condition(sql, (*rest.values, *range_.values, most))


def smallest(found: list[Source], size_of: Callable[[Condition], int]) -> Source:
    """Returns the source with the fewest rows.

    Args:
        found: the sources.
        size_of: runs a query that counts rows, up to a limit.
    """
    if len(found) == 1:
        return found[0]

    def size(source: Source) -> int:
        table = source.tables.partition(" CROSS JOIN ")[0]
        return sum(
            size_of(Condition(f"SELECT 1 FROM {table} WHERE {each.sql}", each.values))  # noqa: S608
            for each in source.ranges
        )

    return min(found, key=size)
