"""The inbox: messages that executions react to."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import MESSAGE_KINDS, Delivery, Message, MessageKind
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.deliveries import SqliteDeliveries
from unspool.eventstore.sqlite.leases import MESSAGES, Row, owner_of
from unspool.eventstore.sqlite.mixin import message_row, put_message
from unspool.eventstore.sqlite.notifications import INBOX
from unspool.eventstore.sqlite.tenant_shares import THESE, in_turn

REMOVE_MESSAGE: Final = "DELETE FROM inbox WHERE id = ?"

_SOME: Final = "SELECT id, tenant FROM inbox WHERE owner IS NULL LIMIT ?"
_TENANTS: Final = """
WITH RECURSIVE waiting (tenant) AS (
    SELECT min(tenant) FROM inbox WHERE owner IS NULL
    UNION ALL
    SELECT (SELECT min(tenant) FROM inbox WHERE owner IS NULL AND tenant > waiting.tenant)
    FROM waiting WHERE tenant IS NOT NULL
)
SELECT tenant, (SELECT id FROM inbox WHERE owner IS NULL AND tenant = waiting.tenant ORDER BY id LIMIT 1)
FROM waiting WHERE tenant IS NOT NULL
"""
"""The tenants with waiting messages, each with its oldest. The cost grows with tenants, not with messages."""
_OF_TENANT: Final = "SELECT id FROM inbox WHERE owner IS NULL AND tenant = ? ORDER BY id LIMIT ?"
_ANY_WAITING: Final = Precheck("SELECT 1 FROM inbox WHERE owner IS NULL LIMIT 1")

_EVENT: Final = MessageKind.EVENT
"""On Python 3.11, to look up a member of an enumeration takes ten times as long as a name."""


class SqliteInbox(SqliteDeliveries):
    """The port's `Inbox`."""

    async def send(self, tenant: str, message: Message) -> None:
        """See `Inbox`."""
        row = message_row(tenant, message)
        await self._database.write(partial(put_message, row=row))

    async def receive_messages(
        self, consumer: Consumer, limit: int, seconds: float, skip: frozenset[str] = frozenset()
    ) -> list[Delivery[Message]]:
        """See `Inbox`."""

        def take(transaction: Transaction, owner: str, now: float) -> list[Delivery[Message]]:
            ids = orjson.dumps(_next(transaction, limit, skip)).decode()
            return _deliveries(MESSAGES.take(transaction, owner, now, THESE, (ids,)))

        return await self._receive(consumer, take, _ANY_WAITING, frozenset({INBOX}), seconds)

    async def reclaim_messages(self, consumer: Consumer, limit: int, lease: float) -> list[Delivery[Message]]:
        """See `Inbox`."""

        def take(transaction: Transaction, owner: str, now: float) -> list[Delivery[Message]]:
            return _deliveries(MESSAGES.reclaim(transaction, owner, self._orphaned(now, lease), limit))

        precheck = MESSAGES.orphan_precheck(self._orphaned(self._database.monotonic(), lease))
        return await self._take(consumer, take, precheck)

    async def renew_messages(self, consumer: Consumer, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `Inbox`."""
        owner = owner_of(consumer)

        def renew(transaction: Transaction) -> None:
            now = self._database.monotonic()
            rows = [(now, int(delivery.id), owner) for delivery in deliveries]
            transaction.executemany("UPDATE inbox SET taken_at = ? WHERE id = ? AND owner = ?", rows)

        await self._database.write(renew, durable=False)

    async def acknowledge(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `Inbox`."""
        ids = [(int(delivery.id),) for delivery in deliveries]

        def remove(transaction: Transaction) -> None:
            transaction.executemany(REMOVE_MESSAGE, ids)

        await self._database.write(remove, durable=False)


def _next(transaction: Transaction, limit: int, skip: frozenset[str]) -> list[int]:
    """The messages to take: all waiting ones, or a share for each tenant, the oldest message first."""
    some = transaction.execute(_SOME, (limit + 1,)).fetchall()
    if len(some) <= limit:
        return [id_ for id_, tenant in some if tenant not in skip]
    oldest = {tenant: id_ for tenant, id_ in transaction.execute(_TENANTS).fetchall() if tenant not in skip}

    def take(tenant: str, share: int) -> list[int]:
        return [id_ for [id_] in transaction.execute(_OF_TENANT, (tenant, share)).fetchall()]

    return in_turn(limit, oldest, take)


def _deliveries(rows: list[Row]) -> list[Delivery[Message]]:
    return [_delivery(*row) for row in rows]


def _delivery(
    number: int,
    tenant: str,
    owner: str,
    attempts: int,
    queued_at: int,
    value: str,
    execution: str,
    body: bytes,
) -> Delivery[Message]:
    kind = MESSAGE_KINDS.get(value) or MessageKind(value)  # which refuses it
    members: dict[str, Json] = orjson.loads(body)
    if kind is _EVENT:
        members["order"] = f"{number:019d}"  # its place in the order of all
    return Delivery(tenant, Message(kind, execution, members), owner, str(number), attempts, queued_at)
