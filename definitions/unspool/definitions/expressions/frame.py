"""The state of one evaluation: its remaining work units and its variables.

A frame is a list, because closures read it on the hot path: place 0 is the number of work units left,
the other places are variables, numbered at compile time. The subset has no recursion by the author, so
a variable needs one place only.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from unspool.definitions.expressions.errors import LimitExceeded
from unspool.definitions.json_value import Json

Frame = list[Any]

One = Callable[[Json, Frame], Json]
"""A compiled expression that has exactly one output, or fails."""

Many = Callable[[Json, Frame], Iterable[Json]]
"""A compiled expression with any number of outputs, produced as they are asked for."""

WORK_UNITS: Final = 2_000_000
"""Work units of one evaluation: about a third of a second at most."""

LONGEST_TEXT: Final = 4 * 1024 * 1024
"""Characters of a string that an expression makes."""

ITEM: Final = 4
"""Work units of visiting one value inside another."""


def charge(frame: Frame, units: int) -> None:
    """Subtracts work units.

    Raises:
        LimitExceeded: none are left.
    """
    frame[0] -= units
    if frame[0] < 0:
        raise LimitExceeded("too much work")


def charge_copy(frame: Frame, items: int) -> None:
    """Charges for copying this many items, which is far cheaper than visiting them."""
    charge(frame, (items >> 2) + 1)


def charge_text(frame: Frame, characters: int) -> None:
    """Charges for reading or making a string."""
    if characters > LONGEST_TEXT:
        raise LimitExceeded(f"a text of more than {LONGEST_TEXT} characters")
    charge(frame, (characters >> 4) + 1)
