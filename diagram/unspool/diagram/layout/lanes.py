"""Places vertical lines at the side of a column, so that no two of them touch."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

Span = tuple[int, int]
"""The upper and the lower end of a line."""

LANE: Final = 14
"""Pixels between two lines."""


def lanes(spans: Sequence[Span], sides: Sequence[tuple[int, int, int]]) -> list[int]:
    """Returns the x of a line for each span.

    Lines that have a y in common get different x. Lines are as near to the column as the boxes beside them
    allow. Takes n log n steps.

    Args:
        spans: of the lines.
        sides: upper end, lower end and x of the right side of each box of the column, in order.
    """
    found = [0] * len(spans)
    begin = 0
    for group in _groups(spans):
        top, bottom = min(spans[place][0] for place in group), max(spans[place][1] for place in group)
        while begin < len(sides) and sides[begin][1] < top:
            begin += 1
        end, beside = begin, 0
        while end < len(sides) and sides[end][0] <= bottom:
            beside = max(beside, sides[end][2])
            end += 1
        for place, number in zip(group, _numbers([spans[place] for place in group]), strict=True):
            found[place] = beside + 8 + LANE * (number + 1)
    return found


def _groups(spans: Sequence[Span]) -> Iterator[list[int]]:
    """Yields the places of spans that overlap, directly or through others; from top to bottom."""
    group: list[int] = []
    bottom = 0
    for place in sorted(range(len(spans)), key=lambda place: spans[place]):
        if group and spans[place][0] > bottom:
            yield group
            group = []
        bottom = max(bottom, spans[place][1]) if group else spans[place][1]
        group.append(place)
    if group:
        yield group


def _numbers(spans: Sequence[Span]) -> list[int]:
    """Returns a number for each span, from 0; spans in the order of their upper ends."""
    numbers: list[int] = []
    free: list[int] = []
    ending: list[tuple[int, int]] = []
    for top, bottom in spans:
        while ending and ending[0][0] < top:
            heappush(free, heappop(ending)[1])
        number = heappop(free) if free else len(ending)
        numbers.append(number)
        heappush(ending, (bottom, number))
    return numbers
