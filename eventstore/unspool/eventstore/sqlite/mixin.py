"""The base class of the store's mixins, and the SQL that several of them use."""

from typing import Final

import orjson

from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.records import Message
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.database import Database
from unspool.eventstore.sqlite.notifications import INBOX
from unspool.eventstore.sqlite.publishing import Publisher

MessageRow = tuple[str, str, str, bytes]

NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
"""SQL for the time, milliseconds since 1970."""

INSERT_MESSAGE: Final = (
    f"INSERT INTO inbox (tenant, execution, kind, body, queued_at) VALUES (?, ?, ?, ?, {NOW})"  # noqa: S608 - a constant
)


class StoreMixin:
    """Some methods of the port, on the database that all mixins share."""

    _database: Database
    _publisher: Publisher
    _events: EventSettings


def message_row(tenant: str, message: Message) -> MessageRow:
    """A message as a row of the table `inbox`."""
    return (tenant, message.execution, message.kind.value, orjson.dumps(message.body))


def put_message(transaction: Transaction, row: MessageRow) -> None:
    """Adds a message to the inbox."""
    transaction.execute(INSERT_MESSAGE, row)
    transaction.topics.add(INBOX)
