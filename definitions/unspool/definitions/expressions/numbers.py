"""Numbers of jq: IEEE doubles, and integers that stay exact until an operation computes with them."""

import math
from typing import Final

from unspool.definitions.expressions.errors import EvaluationError

Number = int | float

EXACT: Final = 2**53
"""Integers up to here are exact as doubles."""


def computed(value: Number) -> Number:
    """The result of a computation: an integer where it is one exactly, else a double.

    Raises:
        EvaluationError: it is no finite number.
    """
    if type(value) is int and -EXACT <= value <= EXACT:
        return value
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if -EXACT <= double <= EXACT and double.is_integer():
        # -0 stays a double: jq writes it "-0"
        return int(double) if double or math.copysign(1.0, double) > 0 else double
    if not math.isfinite(double):
        raise EvaluationError("the result is no finite number")
    return double


def operand(value: Number) -> Number:
    """A number as arithmetic sees it: integers that a double cannot hold are rounded."""
    return value if -EXACT <= value <= EXACT else float(value)


def truncated(value: Number) -> int:
    """Rounded towards zero, within the range of a C integer of 64 bits."""
    return max(-(2**63), min(2**63 - 1, math.trunc(value)))


def rounded(value: Number) -> Number:
    """To the nearest integer, halves away from zero (C `round`)."""
    whole = math.trunc(value)
    if abs(value - whole) >= 0.5:
        whole += 1 if value > 0 else -1
    return math.copysign(float(whole), value)
