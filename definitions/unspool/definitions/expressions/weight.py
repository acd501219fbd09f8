"""How much a value is once it is written out.

Values are shared, not copied: `[., .] | [., .] | …`, or a task that doubles its input in a loop, makes in no
time what no memory would hold as JSON. So whatever is new in an execution is weighed before it is kept.
"""

from typing import Final

from unspool.definitions.expressions.errors import LimitExceeded
from unspool.definitions.expressions.syntax import Json

HEAVIEST: Final = 8 * 1024 * 1024
"""Characters of a value as JSON, roughly."""

DEEPEST: Final = 200
"""Levels of a value; an event around it adds a few, and JSON ends at 254 (orjson)."""

_SCALAR: Final = 4
"""Characters of a value that is no text and holds nothing, and of the punctuation around any value."""


def weigh(value: Json) -> int:
    """About how many characters a value has as JSON, each part counted as often as it occurs.

    Raises:
        LimitExceeded: it is too heavy or too deep.
    """
    weight = _SCALAR
    level: list[Json] = [value]
    for _ in range(DEEPEST + 1):
        inside: list[Json] = []
        for each in level:
            if isinstance(each, dict):
                weight += _SCALAR * len(each) + sum(map(len, each))
                inside += each.values()
            elif isinstance(each, list):
                weight += _SCALAR * len(each)
                inside += each
            elif isinstance(each, str):
                weight += len(each)
            if weight > HEAVIEST:
                raise LimitExceeded(f"a value of more than {HEAVIEST} characters")
        if not inside:
            return weight
        level = inside
    raise LimitExceeded(f"a value of more than {DEEPEST} levels")
