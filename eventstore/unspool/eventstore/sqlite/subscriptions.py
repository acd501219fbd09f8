"""Changes of subscriptions by a commit, and the count of the shapes that they have."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from unspool.eventstore.clock import Clock
from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import Commit, ExecutionKey
from unspool.eventstore.sqlite import acceptances, look_backs
from unspool.eventstore.sqlite.connection_thread import Transaction

_CLOSE: Final = "DELETE FROM subscriptions WHERE tenant = ? AND execution = ? AND run = ? RETURNING number"
_REMOVE_KEYS: Final = "DELETE FROM subscription_keys WHERE number = ? RETURNING shape"
_OPEN: Final = "INSERT INTO subscriptions (tenant, execution, run) VALUES (?, ?, ?)"
_ADD_KEY: Final = "INSERT INTO subscription_keys (tenant, key, number, shape) VALUES (?, ?, ?, ?)"
_COUNT: Final = (
    "INSERT INTO shapes (tenant, shape, keys) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET keys = keys + excluded.keys RETURNING keys"
)
_REMOVE_SHAPE: Final = "DELETE FROM shapes WHERE tenant = ? AND shape = ?"
_NEW_VERSION: Final = (
    "INSERT INTO buses (tenant, shapes_version) VALUES (?, 1)"
    " ON CONFLICT DO UPDATE SET shapes_version = shapes_version + 1"
)


def prepared_change(commit: Commit, retention: int, clock: Clock) -> Callable[[Transaction], None]:
    """The change of subscriptions by a commit, to be applied in its transaction.

    Args:
        commit: the commit.
        retention: how long events are kept for runs that look back, in milliseconds.
        clock: the store's.
    """

    def change(transaction: Transaction) -> None:
        if commit.consumed:
            digests = [digest_of(event) for event in commit.consumed]
            acceptances.note(transaction, commit.key, digests)
            version = commit.expected_version
            look_backs.accept(transaction, commit.key, digests, version, clock.now(), retention)
        shapes: Counter[str] = Counter()
        for run in (*commit.subscriptions_closed, *(opened.run for opened in commit.subscriptions)):
            shapes.subtract(_close(transaction, commit.key, run))
        for run in commit.subscriptions_closed:
            look_backs.forget(transaction, commit.key, run)
        for subscription in commit.subscriptions:
            shapes.update(_open(transaction, commit.key, subscription))
            if retention and subscription.look_back:
                place = commit.expected_version + len(commit.consumed) - subscription.consumed_later
                look_backs.note(transaction, commit.key, subscription.run, place, clock.now(), retention)
        came_or_went = [_count(transaction, commit.key.tenant, *counted) for counted in shapes.items()]
        if any(came_or_went):
            transaction.execute(_NEW_VERSION, (commit.key.tenant,))

    return change


def _close(transaction: Transaction, key: ExecutionKey, run: str) -> list[str]:
    """Closes a subscription if it is open; returns the shapes that it had."""
    numbers = transaction.execute(_CLOSE, (*key, run)).fetchall()
    return [shape for number in numbers for [shape] in transaction.execute(_REMOVE_KEYS, number).fetchall()]


def _open(transaction: Transaction, key: ExecutionKey, subscription: Subscription) -> Iterable[str]:
    """Opens a subscription; returns the shapes that it has."""
    number = transaction.execute(_OPEN, (*key, subscription.run)).lastrowid
    entries = {*subscription.entries}
    rows = [(key.tenant, entry.key, number, entry.shape) for entry in entries]
    transaction.executemany(_ADD_KEY, rows)
    return [entry.shape for entry in entries]


def _count(transaction: Transaction, tenant: str, shape: str, change: int) -> bool:
    """Counts the keys of a shape; returns whether it is new or gone."""
    if not change:
        return False
    [[keys]] = transaction.execute(_COUNT, (tenant, shape, change)).fetchall()
    if not keys:
        transaction.execute(_REMOVE_SHAPE, (tenant, shape))
    return keys in {0, change}
