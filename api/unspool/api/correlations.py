"""Executions that listen for events with a value of a correlation.

The store has only digests of such values. They are computed from the value, for each shape of subscriptions.
An execution whose definition masks values is not found: a caller could test guesses of what it hides.
"""

import asyncio
from typing import Final

from unspool.api.calls import Call
from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.eventstore.execution_search import Place, fits
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.worker.interpreter.event_index import keys_of_correlation

MAX_VALUE: Final = 1_000
"""Characters of a value."""

_MOST: Final = 200
"""Executions that are looked at."""

_SHAPES: Final = 1_000
"""Shapes of subscriptions that are looked at."""


async def correlated(call: Call, text: str, criteria: ExecutionFilter, limit: int) -> list[ExecutionRecord]:
    """Returns the executions without a mask that a filter matches and that expect a value, newest first.

    Args:
        call: the request.
        text: the value: a text, or a number as JSON.
        criteria: the filter.
        limit: executions that are returned, at most.

    Raises:
        HttpProblem: 422, if the value is too long.
    """
    if len(text) > MAX_VALUE:
        raise HttpProblem(422, f"correlation must have at most {MAX_VALUE} characters")
    shapes = (await call.store.shapes(call.tenant))[:_SHAPES]
    keys = [key for value in _values(text) for key in keys_of_correlation(shapes, value)]
    ids = await call.store.listening(call.tenant, _MOST, keys)
    records = await asyncio.gather(*(call.store.execution(ExecutionKey(call.tenant, id_)) for id_ in ids))
    fitting = [record for record in records if record is not None and fits(record, criteria)]
    found = [record for record in fitting if not await call.store.masks(record)]
    return sorted(found, key=lambda record: Place.of(record, criteria), reverse=True)[:limit]


def _values(text: str) -> list[Json]:
    """The values that a text can mean: itself, and the number or the constant that it is in JSON."""
    try:
        value = strict_json.parse(text.encode())
    except (strict_json.BadJson, UnicodeEncodeError):
        return [text]
    return [text, value] if isinstance(value, int | float | bool) else [text]
