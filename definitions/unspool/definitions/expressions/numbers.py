"""Numbers of jq: integers, exact up to 64 bits, and IEEE doubles.

jq computes with doubles, which change the digits of integers beyond 2^53. Here integers are computed exactly.
Where a result cannot be kept exact, there is an error instead of other digits.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from unspool.definitions.expressions.errors import EvaluationError

Number = int | float

EXACT: Final = 2**53
"""Integers up to this one are exact as doubles."""

SMALLEST: Final = -(2**63)
LARGEST: Final = 2**64 - 1
"""The integers that data can hold."""

_SHOWN: Final = 40
"""Characters of a number that a message shows."""


def computed(value: Number) -> Number:
    """Returns the result of a computation with doubles: an integer where it is one exactly, else a double.

    Raises:
        EvaluationError: it is not a finite number.
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
        raise EvaluationError("the result is not a finite number")
    return double


def integer(exact: int, *operands: Number) -> Number:
    """Returns an integer result, exact up to 64 bits; a longer one is a double, as in jq.

    Raises:
        EvaluationError: it has more than 64 bits, and an operand is an integer beyond 2^53.
    """
    if SMALLEST <= exact <= LARGEST:
        return exact
    for operand in operands:
        if not is_double(operand):
            raise EvaluationError(
                f"arithmetic with the integer {operand} gives more than 64 bits; pass ids as strings"
            )
    return computed(exact)


def calculated(operate: Callable[[Any, Any], Any], left: Number, right: Number) -> Number:
    """Returns the result of an operator on two numbers: of doubles as in jq, else exact.

    With an integer beyond 2^53, a result with a fraction is the nearest double.

    Raises:
        EvaluationError: it is not finite, or that double has lost the fraction and so shows wrong digits.
    """
    if is_double(left) and is_double(right):
        return computed(operate(left, right))
    exact: Fraction = operate(Fraction(left), Fraction(right))
    if exact.denominator == 1:
        return integer(exact.numerator, left, right)
    try:
        nearest = float(exact)
    except OverflowError:
        nearest = math.inf
    if nearest.is_integer() or not math.isfinite(nearest):
        operand = right if is_double(left) else left
        raise EvaluationError(
            f"arithmetic with the integer {operand} has no exact result; pass ids as strings"
        )
    return nearest


def is_double(value: Number) -> bool:
    """Whether it is a double, or an integer that jq can compute with exactly."""
    return -EXACT <= value <= EXACT or type(value) is float


def from_text(text: str) -> Number:
    """Returns the number of a text with a fraction or an exponent; an integer beyond 2^53 keeps its digits.

    Raises:
        EvaluationError: it is not finite, or beyond 2^53 and the nearest double has other digits.
    """
    double = float(text)
    if -EXACT < double < EXACT:
        return double
    if not math.isfinite(double):
        raise EvaluationError("the text holds a number that is not finite")
    exact = Decimal(text)
    if exact == exact.to_integral_value() and SMALLEST <= exact <= LARGEST:
        return int(exact)
    if exact != Decimal(repr(double)):
        raise EvaluationError(f"the number {shown(text)} cannot be kept exact; pass it as a string")
    return double


def shown(digits: str) -> str:
    """Returns a number for a message; only the start of a long one."""
    return digits if len(digits) <= _SHOWN else digits[:_SHOWN] + "..."


def truncated(value: Number) -> int:
    """Returns a number rounded towards zero, within the range of a C integer of 64 bits."""
    return max(-(2**63), min(2**63 - 1, math.trunc(value)))


def rounded(value: Number) -> Number:
    """Returns the nearest integer; halves are rounded away from zero (C `round`)."""
    whole = math.trunc(value)
    if abs(value - whole) >= 0.5:
        whole += 1 if value > 0 else -1
    return math.copysign(float(whole), value)
