"""Timers: a due timer becomes a message."""

from functools import partial
from typing import Final

from unspool.eventstore.records import Message, MessageKind
from unspool.eventstore.results import Fired
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import INSERT_MESSAGE, StoreMixin, message_row
from unspool.eventstore.sqlite.notifications import INBOX, TIMERS

SET_TIMER: Final = (
    "INSERT INTO timers (tenant, execution, id, due_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET due_at = excluded.due_at"
)
REMOVE_TIMER: Final = "DELETE FROM timers WHERE tenant = ? AND execution = ? AND id = ?"

_NEXT_DUE: Final = "SELECT min(due_at) FROM timers"
_TAKE_DUE: Final = (
    "DELETE FROM timers WHERE number IN"
    " (SELECT number FROM timers WHERE due_at <= ? ORDER BY due_at, number LIMIT ?)"
    " RETURNING due_at, number, tenant, execution, id"
)


class SqliteTimers(StoreMixin):
    """The port's `Timers`."""

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """See `Timers`."""
        fired = Fired(0, await self._database.read(_next_due))
        if fired.next_due_at is not None and fired.next_due_at <= self._database.clock.now():
            fired = await self._database.write(partial(self._fire, limit=limit), durable=False)
        self._next_due_at = fired.next_due_at
        return fired

    async def wait_for_timers(self, seconds: float) -> None:
        """See `Timers`."""

        async def is_earlier() -> bool:
            due_at = await self._database.read(_next_due)
            return due_at is not None and (self._next_due_at is None or due_at < self._next_due_at)

        await self._database.poll_until_found(is_earlier, frozenset({TIMERS}), seconds)

    async def now(self) -> int:
        """See `Timers`; the machine's wall clock, because the file is local."""
        return self._database.clock.now()

    def _fire(self, transaction: Transaction, limit: int) -> Fired:
        now = self._database.clock.now()
        due = sorted(transaction.execute(_TAKE_DUE, (now, limit)).fetchall())
        transaction.executemany(
            INSERT_MESSAGE,
            [
                message_row(tenant, Message(MessageKind.TIMER_FIRED, execution, {"timer": timer}))
                for _, _, tenant, execution, timer in due
            ],
        )
        if due:
            transaction.topics.add(INBOX)
        late = now - due[0][0] if due else 0
        return Fired(len(due), _next_due(transaction), late)


def _next_due(transaction: Transaction) -> int | None:
    due_at: int | None = transaction.execute(_NEXT_DUE).fetchone()[0]
    return due_at
