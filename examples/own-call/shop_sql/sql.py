"""`call: sql`: a query of the SQLite database that the operator names in SHOP_DATABASE. It can only read."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from unspool.executor.functions.task_kind import (
    Completed,
    HandlerServices,
    Outcome,
    Rejected,
    TaskContext,
    TaskKind,
    TaskRequest,
    errors,
)


class Sql:
    """Runs the queries of one executor."""

    def __init__(self, database: str) -> None:
        self._database = database

    async def __call__(self, request: TaskRequest, _context: TaskContext) -> Outcome:
        """Runs one query. Its rows are the output."""
        if not self._database:
            raise Rejected(errors.configuration("this executor has no database (SHOP_DATABASE is not set)"))
        arguments = request.arguments
        try:
            return Completed(
                await asyncio.to_thread(self._rows, arguments["query"], arguments.get("parameters", []))
            )
        except sqlite3.Error as error:
            raise Rejected(errors.runtime(str(error), title="Query failed")) from None

    def _rows(self, query: str, parameters: list[Any]) -> list[dict[str, Any]]:
        address = f"{Path(self._database).resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, parameters)]


@asynccontextmanager
async def open_handler(_services: HandlerServices) -> AsyncIterator[Sql]:
    """Opens the handler with the first task. A pool of connections would be closed after the `yield`."""
    yield Sql(os.environ.get("SHOP_DATABASE", ""))


task = TaskKind(
    "sql",
    open_handler,
    schema={
        "type": "object",
        "properties": {"query": {"type": "string"}, "parameters": {"type": "array"}},
        "required": ["query"],
        "additionalProperties": False,
    },
)
