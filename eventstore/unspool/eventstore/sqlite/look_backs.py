"""Offers retained events to runs whose subscription was opened with a look back.

The commit notes which events such a run is to be offered. Until they are in the inbox, no later events of the
tenant are matched. So the run gets all in order. Any process can do this.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.published_events import KeysOf, PublishedEvent, Shapes
from unspool.eventstore.records import ExecutionKey, Message, MessageKind
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import MessageRow, message_row, put_message
from unspool.eventstore.sqlite.notifications import EVENTS
from unspool.eventstore.sqlite.publishing import published

PAGE: Final = 100
"""Events in one transaction, at most."""

_COMPLETE_FROM: Final = "SELECT since FROM accepted_from WHERE tenant = ?"
_SET_COMPLETE_FROM: Final = (
    "INSERT INTO accepted_from (tenant, since) VALUES (?, ?)"
    " ON CONFLICT DO UPDATE SET since = max(since, excluded.since)"
)
_FORGET_ACCEPTED: Final = "DELETE FROM accepted_events WHERE tenant = ? AND accepted_at <= ?"
_ACCEPT: Final = (
    "INSERT INTO accepted_events (tenant, execution, digest, accepted_at, place) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET accepted_at = excluded.accepted_at"
)
_WAS_ACCEPTED: Final = (
    "SELECT 1 FROM accepted_events WHERE tenant = ? AND execution = ? AND digest = ? AND place <= ?"
)
_ABOVE_ALL: Final = (1 << 63) - 1
_NOTE: Final = (
    "INSERT OR REPLACE INTO look_backs (tenant, execution, run, after, upto, since, place)"
    " SELECT ?, ?, ?, 0, matched, ?, ? FROM buses WHERE tenant = ? AND matched > 0"
)
_FORGET: Final = "DELETE FROM look_backs WHERE tenant = ? AND execution = ? AND run = ?"
_ADVANCE: Final = "UPDATE look_backs SET after = ? WHERE tenant = ? AND execution = ? AND run = ?"
_PENDING: Final = "SELECT execution, run, after, upto, since FROM look_backs WHERE tenant = ?"
_NOTED: Final = "SELECT after, place FROM look_backs WHERE tenant = ? AND execution = ? AND run = ?"
_ENTRIES: Final = (
    "SELECT shape, key FROM subscriptions JOIN subscription_keys USING (number)"
    " WHERE subscriptions.tenant = ? AND execution = ? AND run = ?"
)
_EVENTS: Final = (
    "SELECT position, event, published_at FROM bus_events WHERE tenant = ? AND position > ? AND position <= ?"
    " AND published_at >= ? ORDER BY position LIMIT ?"
)
ANY: Final = "SELECT 1 FROM look_backs WHERE tenant = ? LIMIT 1"
"""Whether runs of a tenant look back."""


class Page(NamedTuple):
    """The next events that a run may be offered."""

    key: ExecutionKey
    run: str
    after: int
    entries: Sequence[tuple[str, str]]
    """Shapes and keys of its subscription."""
    events: Sequence[PublishedEvent]


def accept(
    transaction: Transaction, key: ExecutionKey, digests: Sequence[bytes], version: int, now: int, ms: int
) -> None:
    """Notes digests of events that an execution consumes, as long as a look back of `ms` could offer them.

    The place of an event that is consumed again stays: a run that has begun to look back meanwhile does not
    get it.
    """
    if not ms:
        transaction.execute(_SET_COMPLETE_FROM, (key.tenant, now + 1))
        return
    if transaction.execute(_FORGET_ACCEPTED, (key.tenant, now - ms)).rowcount:
        transaction.execute(_SET_COMPLETE_FROM, (key.tenant, now - ms + 1))
    rows = [(*key, digest, now, place) for place, digest in enumerate(digests, version + 1)]
    transaction.executemany(_ACCEPT, rows)


def note(transaction: Transaction, key: ExecutionKey, run: str, place: int, now: int, ms: int) -> None:
    """Notes that a run looks back on the events of the last `ms` milliseconds that are matched.

    Not on those that the execution has consumed up to a place.
    """
    [complete_from] = transaction.execute(_COMPLETE_FROM, (key.tenant,)).fetchone() or [0]
    transaction.execute(_NOTE, (*key, run, max(now - ms, complete_from), place, key.tenant))
    transaction.topics.add(EVENTS)


def forget(transaction: Transaction, key: ExecutionKey, run: str) -> None:
    """Forgets what a run was to be offered."""
    transaction.execute(_FORGET, (*key, run))


def pages(transaction: Transaction, tenant: str) -> list[Page]:
    """The next page of each run of a tenant that looks back."""
    found = []
    for execution, run, after, upto, since in transaction.execute(_PENDING, (tenant,)).fetchall():
        rows = transaction.execute(_EVENTS, (tenant, after, upto, since, PAGE)).fetchall()
        events = [published(*row) for row in rows]
        entries = transaction.execute(_ENTRIES, (tenant, execution, run)).fetchall()
        found.append(Page(ExecutionKey(tenant, execution), run, after, entries, events))
    return found


def offered(page: Page, keys_of: KeysOf) -> list[tuple[bytes, MessageRow]]:
    """The events of a page that have a key of the subscription: digests and messages."""
    shapes: Shapes = tuple(sorted({shape for shape, _ in page.entries}))
    keys = {key for _, key in page.entries}
    tenant, execution = page.key
    return [
        (
            digest_of(event),
            message_row(tenant, Message(MessageKind.EVENT, execution, {"run": page.run, "event": event})),
        )
        for _, event, _ in page.events
        if not keys.isdisjoint(keys_of(shapes, event))
    ]


def offer(transaction: Transaction, page: Page, messages: Sequence[tuple[bytes, MessageRow]]) -> int:
    """Sends the events of a page to its run, unless it was done before; returns the number of messages."""
    after, place = transaction.execute(_NOTED, (*page.key, page.run)).fetchone() or (None, None)
    if after != page.after:
        return 0
    upto = _ABOVE_ALL if place is None else place
    rows = [
        row
        for digest, row in messages
        if not transaction.execute(_WAS_ACCEPTED, (*page.key, digest, upto)).fetchone()
    ]
    for row in rows:
        put_message(transaction, row)
    if len(page.events) < PAGE:
        forget(transaction, page.key, page.run)
    else:
        transaction.execute(_ADVANCE, (int(page.events[-1].position), *page.key, page.run))
    return len(rows)
