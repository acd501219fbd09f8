"""The tags of executions, in a table that searches read."""

from collections.abc import Callable
from typing import Final

import orjson

from unspool.eventstore.records import ExecutionKey, TagUpdate
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.tags import Tags

ADD_TAG: Final = (
    "INSERT INTO execution_tags (tenant, id, created_at, name, value) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
REMOVE_TAG: Final = (
    "DELETE FROM execution_tags WHERE tenant = ? AND id = ? AND created_at = ? AND name = ? AND value = ?"
)

TagRow = tuple[str, str, int, str, str]


def tag_rows(key: ExecutionKey, created_at: int, tags: Tags) -> list[TagRow]:
    """Returns the rows of the tags of an execution."""
    return [(*key, created_at, *tag) for tag in tags.items()]


def prepared_tags(key: ExecutionKey, update: TagUpdate) -> Callable[[Transaction], object]:
    """Returns a change of the tags of an execution, to be applied in a transaction."""
    after = orjson.dumps(dict(update.after))

    def change(transaction: Transaction) -> None:
        [[created_at]] = transaction.execute(
            "UPDATE executions SET tags = ? WHERE tenant = ? AND id = ? RETURNING created_at", (after, *key)
        ).fetchall()
        transaction.executemany(REMOVE_TAG, tag_rows(key, created_at, update.before))
        transaction.executemany(ADD_TAG, tag_rows(key, created_at, update.after))

    return change
