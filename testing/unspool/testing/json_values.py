"""Values that a test gives, as JSON: what a store and an executor could not keep must not pass a test."""

import json
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.testing.errors import NotJson

_LEVELS: Final = 500
"""Allowed nesting. Executors have limits of their own."""


def as_json(value: object, what: str) -> Json:
    """Returns a copy of a value as JSON: tuples become arrays.

    Raises:
        NotJson: it has something else, such as a `datetime`, a set or an infinite number. `what` names it.
    """
    try:
        return strict_json.parse(json.dumps(value).encode(), _LEVELS)
    except strict_json.BadJson as problem:
        raise NotJson(f"{what} {problem}") from None
    except (TypeError, ValueError, RecursionError) as problem:
        raise NotJson(f"{what} is not JSON: {problem}") from None
