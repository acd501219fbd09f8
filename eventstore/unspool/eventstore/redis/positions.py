"""Positions on a bus: ids of Redis streams, `<milliseconds>-<number>`."""

import re
from typing import Final

from unspool.eventstore.event_bus import BEFORE_ALL

_POSITION: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_MAX: Final = (1 << 64) - 1
_GREATEST: Final = (_MAX, _MAX)
"""Redis refuses to read what follows it, so it is no position."""


def place_of(position: str) -> tuple[int, int]:
    """A position in a form that can be compared.

    Raises:
        ValueError: it is not a position.
    """
    if position == BEFORE_ALL:
        return 0, 0
    match = _POSITION.fullmatch(position)
    place = (int(match[1]), int(match[2])) if match else _GREATEST
    if max(place) > _MAX or place == _GREATEST:
        raise ValueError("not a position on a bus of this store")
    return place


def order_of(position: str) -> str:
    """A position as text that can be compared, as `match.lua` writes it. Its first number has 13 digits."""
    milliseconds, _, number = position.partition("-")
    return f"{milliseconds}-{int(number):010d}"
