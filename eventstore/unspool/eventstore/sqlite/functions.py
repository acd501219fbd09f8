"""Functions that executors have registered."""

from collections.abc import Sequence
from typing import Final

import orjson

from unspool.eventstore.functions import FORGOTTEN_MILLISECONDS, RegisteredFunction
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin

_REGISTER: Final = (
    "INSERT INTO functions (name, version, queue, input_schema, output_schema, registered_at)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET input_schema = excluded.input_schema,"
    " output_schema = excluded.output_schema, registered_at = excluded.registered_at"
)
_ALL: Final = (
    "SELECT name, version, queue, input_schema, output_schema, registered_at FROM functions"
    " WHERE registered_at > ? ORDER BY name, version, queue"
)


class SqliteFunctions(StoreMixin):
    """The functions of the store."""

    async def register_functions(self, functions: Sequence[RegisteredFunction]) -> None:
        """See `Functions`."""
        now = self._database.clock.now()
        rows = [
            (*each[:3], orjson.dumps(each.input_schema), orjson.dumps(each.output_schema), now)
            for each in functions
        ]

        def register(transaction: Transaction) -> None:
            for row in rows:
                transaction.execute(_REGISTER, row)
            transaction.execute(
                "DELETE FROM functions WHERE registered_at <= ?", (now - FORGOTTEN_MILLISECONDS,)
            )

        await self._database.write(register, durable=False)

    async def functions(self) -> list[RegisteredFunction]:
        """See `Functions`."""
        earliest = self._database.clock.now() - FORGOTTEN_MILLISECONDS
        rows = await self._database.read(
            lambda transaction: transaction.execute(_ALL, (earliest,)).fetchall()
        )
        return [
            RegisteredFunction(name, version, queue, orjson.loads(input_), orjson.loads(output), at)
            for name, version, queue, input_, output, at in rows
        ]
