"""Which filters of a strategy may still consume an event, and whether the consumed events are enough."""

from collections.abc import Callable, Collection

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.event_consumption import Consumption, Strategy


def open_places(consumption: Consumption, consumed: Collection[int]) -> list[int]:
    """Returns the places of the filters that may consume an event, in the order in which they are asked.

    Those of `until` come first: their events are not consumed by the strategy too (inventory I49).

    Args:
        consumption: the strategy.
        consumed: the places of the filters that have consumed an event.
    """
    first = len(consumption.strategy.filters)
    until = _open(consumption.until, first, consumed) if consumption.until is not None else []
    return until + _open(consumption.strategy, 0, consumed)


def _open(strategy: Strategy, first: int, consumed: Collection[int]) -> list[int]:
    places = range(first, first + len(strategy.filters))
    return [place for place in places if not (strategy.all and place in consumed)]


def is_met(
    consumption: Consumption, consumed: Collection[int], received: int, holds: Callable[[Evaluable], bool]
) -> bool:
    """Returns whether enough events are consumed (inventory P1, P2, P3).

    Args:
        consumption: the strategy.
        consumed: the places of the filters that have consumed an event.
        received: how many events were consumed, without those of `until`.
        holds: evaluates `until` on these events.
    """
    if consumption.until is not None:
        return _enough(consumption.until, len(consumption.strategy.filters), consumed)
    if consumption.condition is not None:
        return received > 0 and holds(consumption.condition)
    return _enough(consumption.strategy, 0, consumed)


def _enough(strategy: Strategy, first: int, consumed: Collection[int]) -> bool:
    found = [place for place in consumed if first <= place < first + len(strategy.filters)]
    return len(found) == len(strategy.filters) if strategy.all else bool(found)
