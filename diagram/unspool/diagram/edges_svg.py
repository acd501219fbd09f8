"""Edges as SVG: lines with rounded corners, and tips."""

from collections.abc import Sequence
from typing import Final

from unspool.diagram.layout.geometry import Edge, Point
from unspool.diagram.markup import element

_RADIUS: Final = 8
_TIP: Final = 7
"""Pixels from the point of a tip to its back; it is as wide."""


def edge_svg(edge: Edge) -> str:
    """Returns an edge."""
    points = list(edge.points)
    tip = ""
    if edge.arrow:
        tip = element("path", d=_tip(points[-2], points[-1]), class_=f"tip {edge.course}")
        points[-1] = _towards(points[-1], points[-2], _TIP - 1)
    return element("path", d=_line(points), class_=f"edge {edge.course}") + tip


def _line(points: Sequence[Point]) -> str:
    """Returns the path through points; each corner is a curve that touches both of its lines."""
    path = [f"M{points[0][0]} {points[0][1]}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_RADIUS, _length(before, corner) // 2, _length(corner, after) // 2)
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        path.append(f"L{start[0]} {start[1]}Q{corner[0]} {corner[1]} {end[0]} {end[1]}")
    path.append(f"L{points[-1][0]} {points[-1][1]}")
    return "".join(path)


def _tip(before: Point, end: Point) -> str:
    back = _towards(end, before, _TIP)
    half = _TIP // 2 + 1
    if back[0] == end[0]:
        corners = (back[0] - half, back[1]), (back[0] + half, back[1])
    else:
        corners = (back[0], back[1] - half), (back[0], back[1] + half)
    return f"M{end[0]} {end[1]}L{corners[0][0]} {corners[0][1]}L{corners[1][0]} {corners[1][1]}Z"


def _length(start: Point, end: Point) -> int:
    return abs(start[0] - end[0]) + abs(start[1] - end[1])


def _towards(start: Point, end: Point, distance: int) -> Point:
    """Returns the point at a distance from the start of a horizontal or vertical line."""
    x, y = end[0] - start[0], end[1] - start[1]
    return start[0] + distance * ((x > 0) - (x < 0)), start[1] + distance * ((y > 0) - (y < 0))
