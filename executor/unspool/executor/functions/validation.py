"""Checks the data of calls with JSON schemas."""

from typing import Final

from unspool.definitions import errors
from unspool.definitions.data_schema import DataSchema
from unspool.definitions.json_value import Json
from unspool.executor.outcome import Rejected

_SHOWN_PROBLEMS: Final = 5


def require(check: DataSchema | None, value: Json, what: str) -> None:
    """Raises `Rejected` with a `validation` error if a value does not match. `what` names it in messages."""
    problems = [] if check is None else check.problems(value)
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        others = f"; and {more} more" if more > 0 else ""
        shown = "; ".join(map(str, problems[:_SHOWN_PROBLEMS]))
        raise Rejected(errors.validation(f"{what}: {shown}{others}"))
