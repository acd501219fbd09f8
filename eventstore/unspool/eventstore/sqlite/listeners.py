"""Which executions listen: read from the index of subscriptions for each request."""

from collections.abc import Sequence
from typing import Final

from unspool.eventstore.published_events import Shapes
from unspool.eventstore.sqlite.connection_thread import Transaction

_ANY: Final = "SELECT DISTINCT execution FROM subscriptions WHERE tenant = ? LIMIT ?"
_WITH_KEY: Final = (
    "SELECT DISTINCT execution FROM subscription_keys JOIN subscriptions USING (number)"
    " WHERE subscription_keys.tenant = ? AND key = ? LIMIT ?"
)
_SHAPES: Final = "SELECT shape FROM shapes WHERE tenant = ? ORDER BY shape"


def listening(transaction: Transaction, tenant: str, limit: int, keys: Sequence[str] | None) -> list[str]:
    """Executions that have a subscription, with one of these keys."""
    if keys is None:
        return [execution for [execution] in transaction.execute(_ANY, (tenant, limit))]
    found = {
        execution: None
        for key in keys
        for [execution] in transaction.execute(_WITH_KEY, (tenant, key, limit))
    }
    return [*found][:limit]


def shapes(transaction: Transaction, tenant: str) -> Shapes:
    """The shapes that open subscriptions have."""
    return tuple(shape for [shape] in transaction.execute(_SHAPES, (tenant,)))
