"""A part of a diagram with a size, whose place is not known yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from unspool.diagram.layout.geometry import Box, Caption, Course, Edge, Point, Shape

Port = int | Literal["then", "caught"]
"""Where an edge leaves at the side: a case of a `switch` by its place, the task itself, or its `catch`."""

GAP: Final = 30
"""Pixels between two boxes of a column."""

BESIDE: Final = 28
"""Pixels between columns."""

PADDING: Final = 18
"""Pixels between a frame and its content."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Where an edge leaves at the side of a fragment."""

    key: str
    """The box that it leaves."""
    at: Point


@dataclass(slots=True, kw_only=True)
class Fragment:
    """Boxes and edges, relative to the upper left corner of the fragment."""

    key: str
    """The box that edges from outside lead to; empty if there is none."""
    width: int
    height: int
    axis: int
    """The x at which the flow enters at the top and leaves at the bottom."""
    entry: int = 0
    """The y at which edges from the side arrive."""
    exits: dict[Port, Exit] = field(default_factory=dict)
    leaves: str = ""
    """The box from which the flow leaves at the bottom; empty if it does not."""
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)
    parts: list[tuple[Point, "Fragment"]] = field(default_factory=list)

    def exit_at(self, port: Port, place: Point) -> Exit:
        """Returns an exit for a fragment that is at a place."""
        exit_ = self.exits[port]
        return Exit(exit_.key, _moved(exit_.at, place))

    def join(
        self,
        source: str,
        target: str,
        course: Course,
        *points: Point,
        arrow: bool = True,
        label: str = "",
    ) -> None:
        """Adds an edge. Points that do not change the line are left out."""
        self.edges.append(Edge(source, target, _straightened(points), course, arrow, label))

    def placed(self, place: Point) -> Iterator[Box | Edge | Caption]:
        """Yields everything in it, frames before what is inside them."""
        for box in self.boxes:
            yield replace(box, x=box.x + place[0], y=box.y + place[1])
        for edge in self.edges:
            yield replace(edge, points=tuple(_moved(point, place) for point in edge.points))
        for caption in self.captions:
            yield replace(caption, x=caption.x + place[0], y=caption.y + place[1])
        for at, part in self.parts:
            yield from part.placed(_moved(at, place))


def mark(shape: Shape, key: str, width: int, height: int, text: str = "") -> Fragment:
    """Returns a fragment that is one box without a task, such as the end."""
    box = Box(key=key, shape=shape, x=0, y=0, width=width, height=height, text=text)
    return Fragment(
        key=key, width=width, height=height, axis=width // 2, entry=height // 2, leaves=key, boxes=[box]
    )


def _moved(point: Point, by: Point) -> Point:
    return point[0] + by[0], point[1] + by[1]


def _straightened(points: tuple[Point, ...]) -> tuple[Point, ...]:
    kept: list[Point] = []
    for point in points:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and (
            kept[-2][0] == kept[-1][0] == point[0] or kept[-2][1] == kept[-1][1] == point[1]
        ):
            kept.pop()
        kept.append(point)
    return tuple(kept)
