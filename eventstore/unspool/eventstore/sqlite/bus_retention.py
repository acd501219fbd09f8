"""Deletes events that a bus no longer needs."""

from typing import Final, NamedTuple

from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.eventstore.sqlite.connection_thread import Transaction

_MAX_DELETED: Final = 1_000
"""Events that one call deletes, at most: others wait for the transaction."""

_NTH_NEWEST: Final = (
    "SELECT position FROM bus_events WHERE tenant = ? ORDER BY position DESC LIMIT 1 OFFSET ?"
)
_OLDEST: Final = "SELECT min(position) FROM bus_events WHERE tenant = ?"
_SINKS: Final = (
    "SELECT sinks.name, coalesce(position, 0) FROM sinks"
    " LEFT JOIN sink_positions ON sink_positions.name = sinks.name AND tenant = ?"
)
_OLD: Final = (
    "SELECT position FROM bus_events WHERE tenant = ? AND position <= ? AND position < ? AND published_at < ?"
    " ORDER BY position LIMIT ?"
)
_DELETE: Final = "DELETE FROM bus_events WHERE tenant = ? AND position <= ?"
_LOST: Final = "SELECT count(*) FROM bus_events WHERE tenant = ? AND position > ? AND position <= ?"
_DROP: Final = (
    "INSERT INTO sink_positions (tenant, name, position, dropped) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET position = excluded.position, dropped = dropped + excluded.dropped"
)


class Dropped(NamedTuple):
    """How many events were deleted before a sink had passed them."""

    sink: str
    events: int


class Kept(NamedTuple):
    """Which matched events stay besides the newest ones."""

    for_sinks: int
    """How many stay at most for sinks that have not passed them."""
    since: int
    """Those published at this time or later stay, milliseconds since 1970."""


def delete_old(transaction: Transaction, tenant: str, matched: int, kept: Kept) -> list[Dropped]:
    """Deletes matched events that need not stay. Returns what sinks lose."""
    first_kept = _position(transaction, _NTH_NEWEST, tenant, KEPT_EVENTS - 1)
    if first_kept is None:
        return []
    sinks: list[tuple[str, int]] = transaction.execute(_SINKS, (tenant,)).fetchall()
    passed = min([matched, *(position for _, position in sinks)])
    last = _last_old(transaction, tenant, passed, first_kept, kept.since)
    if last is not None:
        transaction.execute(_DELETE, (tenant, last))
    if passed >= min(matched, first_kept - 1):
        return []
    return _drop(transaction, tenant, matched, kept, sinks)


def _drop(
    transaction: Transaction, tenant: str, matched: int, kept: Kept, sinks: list[tuple[str, int]]
) -> list[Dropped]:
    """Deletes matched events that sinks have not passed, except the newest ones."""
    most = max(kept.for_sinks, KEPT_EVENTS)
    oldest = _position(transaction, _OLDEST, tenant)
    if oldest is None or matched - oldest < most:  # a cheap check: there cannot be more than this difference
        return []
    first_kept = _position(transaction, _NTH_NEWEST, tenant, most - 1)
    last = None if first_kept is None else _last_old(transaction, tenant, matched, first_kept, kept.since)
    if last is None:
        return []
    dropped: list[Dropped] = []
    for name, position in sinks:
        lost = _position(transaction, _LOST, tenant, position, last)
        if lost:
            transaction.execute(_DROP, (tenant, name, last, lost))
            dropped.append(Dropped(name, lost))
    transaction.execute(_DELETE, (tenant, last))
    return dropped


def _last_old(transaction: Transaction, tenant: str, upto: int, before: int, since: int) -> int | None:
    """The last of the oldest events up to a position, before another one and before a time."""
    old = transaction.execute(_OLD, (tenant, upto, before, since, _MAX_DELETED)).fetchall()
    return old[-1][0] if old else None


def _position(transaction: Transaction, query: str, *parameters: object) -> int | None:
    row = transaction.execute(query, parameters).fetchone()
    return None if row is None else row[0]
