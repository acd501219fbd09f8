"""Which executions accepted which events: the newest of each tenant. Requests for an event read them."""

from collections.abc import Sequence
from typing import Final

from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.event_bus import KEPT_ACCEPTANCES
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.sqlite.connection_thread import Transaction

_FORGET_EACH: Final = 16

# The newest number by ORDER BY: SQLite would look for `max` in all rows of the tenant here.
_NEWEST: Final = "(SELECT number FROM acceptances WHERE tenant = ? ORDER BY number DESC LIMIT 1)"
_NOTE: Final = (
    "INSERT INTO acceptances (tenant, number, digest, execution)"  # noqa: S608 - our own text
    f" VALUES (?, coalesce({_NEWEST}, 0) + 1, ?, ?)"
)
_FORGET: Final = f"DELETE FROM acceptances WHERE tenant = ? AND number <= {_NEWEST} - ?"  # noqa: S608 - our own text
_WHO: Final = (
    "SELECT execution FROM acceptances WHERE tenant = ? AND digest = ?"
    " GROUP BY execution ORDER BY min(number)"
)


def note(transaction: Transaction, key: ExecutionKey, digests: Sequence[bytes]) -> None:
    """Notes that an execution accepts events. For one of some events, forgets the oldest of the tenant."""
    transaction.executemany(_NOTE, [(key.tenant, key.tenant, digest, key.id) for digest in digests])
    if any(digest[0] % _FORGET_EACH == 0 for digest in digests):
        transaction.execute(_FORGET, (key.tenant, key.tenant, KEPT_ACCEPTANCES))


def accepted_by(transaction: Transaction, tenant: str, event: CloudEvent) -> list[str]:
    """The executions that accepted an event."""
    return [execution for [execution] in transaction.execute(_WHO, (tenant, digest_of(event)))]
