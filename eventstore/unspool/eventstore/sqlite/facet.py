"""The root of the store's facets, and the SQL more than one of them needs."""

from typing import Final

import orjson

from unspool.eventstore.records import Message
from unspool.eventstore.sqlite.database import Database
from unspool.eventstore.sqlite.lane import Transaction
from unspool.eventstore.sqlite.wakeups import INBOX

MessageRow = tuple[str, str, str, bytes]

INSERT_MESSAGE: Final = "INSERT INTO inbox (tenant, execution, kind, body) VALUES (?, ?, ?, ?)"


class Facet:
    """One facet of the store: some methods of the port on the database they all share."""

    _database: Database


def message_row(tenant: str, message: Message) -> MessageRow:
    """A message as the table has it."""
    return (tenant, message.execution, message.kind.value, orjson.dumps(message.body))


def put_message(transaction: Transaction, row: MessageRow) -> None:
    """Adds a message to the inbox."""
    transaction.execute(INSERT_MESSAGE, row)
    transaction.news.add(INBOX)
