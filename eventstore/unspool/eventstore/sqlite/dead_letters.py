"""The dead letter queue: deliveries that failed too often."""

import re
from typing import Any, Final, NamedTuple

import orjson

from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.errors import NotFound
from unspool.eventstore.ids import new_id
from unspool.eventstore.records import Delivery, Message, MessageKind, Status, TaskRequest
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin, message_row, put_message
from unspool.eventstore.sqlite.notifications import queue_topic
from unspool.eventstore.sqlite.tasks import INSERT_TASK, task_row

_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
LETTER_COLUMNS: Final = "id, tenant, kind, body, error, traceback, attempts, buried_at"
"""The columns that `dead_letter_of` takes."""
_MESSAGE: Final = "message"
_TASK: Final = "task"
_CANCELLED_TASK: Final = "task.cancelled"
"""A task whose run was cancelled: a requeue only removes it."""

_OLDEST: Final = (
    f"SELECT {LETTER_COLUMNS} FROM (SELECT * FROM dead_letters ORDER BY number LIMIT ?)"  # noqa: S608 - our own columns
    " WHERE buried_at < ?"
)

CANCEL_DEAD_TASK: Final = (
    f"UPDATE dead_letters SET kind = '{_CANCELLED_TASK}'"  # noqa: S608 - our own kinds
    f" WHERE tenant = ? AND execution = ? AND kind = '{_TASK}'"
    " AND json_extract(CAST(body AS TEXT), '$[1]') = ?"
)


class _Removed(NamedTuple):
    kind: str
    letter: DeadLetter


class SqliteDeadLetters(StoreMixin):
    """The port's `DeadLetters`."""

    async def move_to_dead_letters(
        self, delivery: Delivery[Message] | Delivery[TaskRequest], error: str, traceback: str
    ) -> str:
        """See `DeadLetters`."""
        now = self._database.clock.now()
        id_ = new_id(now)
        table, kind = ("inbox", _MESSAGE) if isinstance(delivery.body, Message) else ("tasks", _TASK)
        state = "0" if kind == _MESSAGE else "cancelled"
        body = orjson.dumps(tuple(delivery.body))

        def move(transaction: Transaction) -> None:
            removed = transaction.execute(
                f"DELETE FROM {table} WHERE id = ? RETURNING {state}",  # noqa: S608 - our own names
                (int(delivery.id),),
            ).fetchall()
            if not removed:
                raise NotFound(f"the {kind} was acknowledged or finished")
            [[cancelled]] = removed
            stored_kind = _CANCELLED_TASK if cancelled else kind
            transaction.execute(
                "INSERT INTO dead_letters (id, tenant, execution, kind, body, error, traceback, attempts,"
                " buried_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (id_, *delivery.key, stored_kind, body, error, traceback, delivery.attempts, now),
            )

        await self._database.write(move)
        return id_

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """See `DeadLetters`."""
        if cursor is not None and not _NUMBER.fullmatch(cursor):
            raise ValueError("not a cursor of this store")
        rows = await self._database.read(
            lambda transaction: transaction.execute(
                f"SELECT number, {LETTER_COLUMNS} FROM dead_letters"  # noqa: S608 - our own columns
                " WHERE tenant = ? AND (? IS NULL OR execution = ?) AND number > ? ORDER BY number LIMIT ?",
                (tenant, execution, execution, int(cursor or 0), limit + 1),
            ).fetchall()
        )
        letters = tuple(dead_letter_of(*row) for _, *row in rows[:limit])
        return DeadLetterPage(letters, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002 - the port's name
        """See `DeadLetters`."""
        if not _ID.fullmatch(id):
            return None
        row = await self._database.read(
            lambda transaction: transaction.execute(
                f"SELECT {LETTER_COLUMNS} FROM dead_letters WHERE tenant = ? AND id = ?",  # noqa: S608 - our own columns
                (tenant, id),
            ).fetchone()
        )
        return row and dead_letter_of(*row)

    async def requeue(self, tenant: str, id: str) -> bool:  # noqa: A002 - the port's name
        """See `DeadLetters`."""

        def put_back(transaction: Transaction) -> bool:
            removed = _remove(transaction, tenant, id)
            if removed and _is_needed(transaction, *removed):
                _deliver(transaction, removed.letter)
            return removed is not None

        return await self._database.write(put_back)

    async def discard(self, tenant: str, id: str) -> bool:  # noqa: A002 - the port's name
        """See `DeadLetters`."""
        removed = await self._database.write(lambda transaction: _remove(transaction, tenant, id))
        return removed is not None

    async def dead_letters_before(self, time: int, limit: int) -> list[DeadLetter]:
        """See `DeadLetters`."""
        rows = await self._database.read(
            lambda transaction: transaction.execute(_OLDEST, (limit, time)).fetchall()
        )
        return [dead_letter_of(*row) for row in rows]


def _remove(transaction: Transaction, tenant: str, id_: str) -> _Removed | None:
    if not _ID.fullmatch(id_):
        return None
    rows = transaction.execute(
        f"DELETE FROM dead_letters WHERE tenant = ? AND id = ? RETURNING kind, {LETTER_COLUMNS}",  # noqa: S608 - our own columns
        (tenant, id_),
    ).fetchall()
    return _Removed(rows[0][0], dead_letter_of(*rows[0][1:])) if rows else None


def _is_needed(transaction: Transaction, kind: str, dead: DeadLetter) -> bool:
    """Whether to deliver it again: not if the execution has ended or the run was cancelled."""
    if kind == _MESSAGE:
        return True
    row = transaction.execute(
        "SELECT status FROM executions WHERE tenant = ? AND id = ?", (dead.tenant, dead.body.execution)
    ).fetchone()
    return kind == _TASK and (row is None or not Status(row[0]).ended)


def _deliver(transaction: Transaction, dead: DeadLetter) -> None:
    if isinstance(dead.body, Message):
        put_message(transaction, message_row(dead.tenant, dead.body))
    else:
        transaction.execute(INSERT_TASK, task_row(dead.tenant, dead.body))
        transaction.topics.add(queue_topic(dead.body.queue))


def dead_letter_of(id_: str, tenant: str, kind: str, body: bytes, *rest: Any) -> DeadLetter:
    """The dead letter of a row of `LETTER_COLUMNS`."""
    return DeadLetter(id_, tenant, _body(kind, orjson.loads(body)), *rest)


def _body(kind: str, members: list[Any]) -> Message | TaskRequest:
    if kind != _MESSAGE:
        return TaskRequest(*members)
    message_kind, execution, body = members
    return Message(MessageKind(message_kind), execution, body)
