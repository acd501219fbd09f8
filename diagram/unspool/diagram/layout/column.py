"""A list of tasks as a column, with edges at its right side for flow directives that lead elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from unspool.definitions.plan import Directive
from unspool.diagram.layout.fragment import GAP, Exit, Fragment, Port, mark
from unspool.diagram.layout.geometry import Course, Point, Shape
from unspool.diagram.layout.lanes import LANE, lanes
from unspool.diagram.outline.model import ListOutline, Role, Route

_STOP: Final = (36, 18)
JOIN: Final = 10
"""The size of a join."""


@dataclass(frozen=True, slots=True)
class _Jump:
    """An edge at the side."""

    port: Port
    source: int
    """Place of the fragment in the column, as that of the target."""
    target: int
    course: Course


class Column:
    """Lays out one list.

    A list of the workflow begins with a start and ends with an end. Others end with a join if edges at the
    side lead there, or if `loop` is set.
    """

    def __init__(
        self,
        tasks: ListOutline,
        fragments: Sequence[Fragment],
        *,
        start: Fragment | None = None,
        end: Fragment | None = None,
        loop: bool = False,
    ) -> None:
        self._tasks = tasks
        self._first = 0 if start is None else 1
        self._cells = [*([start] if start is not None else []), *fragments]
        self._after = len(self._cells)
        """Place of what is below the last task."""
        self._down: dict[int, Course] = {0: Course.NEXT} if start is not None else {}
        """The flow from a cell to the one below it."""
        self._jumps: list[_Jump] = []
        self._stops: list[tuple[int, Port]] = []
        self._stop_right = 0
        self._places: list[Point] = []
        for place, task in enumerate(tasks.tasks):
            for route in task.routes:
                self._follow(place, route)
        if end is None and (loop or any(jump.target == self._after for jump in self._jumps)):
            end = mark(Shape.JOIN, f"{tasks.pointer}#end", JOIN, JOIN)
        self._cells += [end] if end is not None else []

    def _follow(self, place: int, route: Route) -> None:
        cell = place + self._first
        port: Port = "caught" if route.caught else "then" if route.case is None else route.case
        if route.directive == Directive.END and self._tasks.role is not Role.WORKFLOW:
            self._stops.append((cell, port))
            return
        target = self._target(route.directive, place)
        below = target == cell + 1 and not route.caught
        if below and (route.case is None or route.directive == Directive.CONTINUE or target == self._after):
            self._down[cell] = Course.SKIP if route.skipped and cell not in self._down else Course.NEXT
        else:
            self._jumps.append(_Jump(port, cell, target, Course.ERROR if route.caught else Course.JUMP))

    def _target(self, directive: str, place: int) -> int:
        found = self._tasks.target(directive, place)
        return self._after if found is None else found + self._first

    def fragment(self) -> Fragment:
        """Returns the column."""
        cells = self._cells
        axis = max((cell.axis for cell in cells), default=0)
        right = max((cell.width - cell.axis for cell in cells), default=0)
        places: list[Point] = []
        y = 0
        for cell in cells:
            places.append((axis - cell.axis, y))
            y += cell.height + GAP
        column = Fragment(
            key=cells[0].key if cells else "", width=axis + right, height=max(0, y - GAP), axis=axis
        )
        self._places = places
        column.parts = list(zip(places, cells, strict=True))
        self._join_cells(column)
        self._add_stops(column)
        self._add_jumps(column)
        return column

    def _join_cells(self, column: Fragment) -> None:
        for place, course in self._down.items():
            (_, y), cell = column.parts[place]
            if place + 1 == len(self._cells):
                column.leaves = cell.key
                continue
            below = self._cells[place + 1]
            start, end = (column.axis, y + cell.height), (column.axis, column.parts[place + 1][0][1])
            column.join(cell.key, below.key, course, start, end, arrow=below.boxes[0].shape is not Shape.JOIN)
        if self._cells and len(self._cells) > self._after:
            column.leaves = self._cells[-1].key

    def _add_stops(self, column: Fragment) -> None:
        """Adds the marks of flow directives `end`, right of the column."""
        width, height = _STOP
        x = column.width + 20
        for cell, port in self._stops:
            place, fragment = column.parts[cell]
            exit_ = fragment.exit_at(port, place)
            key = f"{fragment.key}#stop-{port}"
            column.parts.append(((x, exit_.at[1] - height // 2), mark(Shape.STOP, key, width, height, "end")))
            course = Course.ERROR if port == "caught" else Course.JUMP
            label = self._case(cell, port)
            column.join(exit_.key, key, course, exit_.at, (x, exit_.at[1]), label=label)
        if self._stops:
            column.width = self._stop_right = x + width

    def _add_jumps(self, column: Fragment) -> None:
        """Adds the edges at the side. Edges to one target share a lane."""
        exits = [(jump, self._exit(column, jump)) for jump in self._jumps]
        spans: dict[int, tuple[int, int]] = {}
        for jump, exit_ in exits:
            entry = self._entry(column, jump.target)[1]
            top, bottom = spans.get(jump.target, (entry, entry))
            spans[jump.target] = min(top, exit_.at[1]), max(bottom, exit_.at[1])
        stopping = {cell for cell, _ in self._stops}
        sides = [
            (y, y + cell.height, self._stop_right if place in stopping else x + cell.width)
            for place, (cell, (x, y)) in enumerate(zip(self._cells, self._places, strict=True))
        ]
        taken = dict(zip(spans, lanes(list(spans.values()), sides), strict=True))
        for jump, exit_ in exits:
            x, end = taken[jump.target], self._entry(column, jump.target)
            points = exit_.at, (x, exit_.at[1]), (x, end[1]), end
            label = self._case(jump.source, jump.port)
            column.join(exit_.key, self._cells[jump.target].key, jump.course, *points, label=label)
        column.width = max([column.width, *(x + LANE for x in taken.values())])

    def _case(self, cell: int, port: Port) -> str:
        """Returns the name of the case of a `switch` that leads out of a port; empty without one."""
        return self._tasks.tasks[cell - self._first].cases[port].name if isinstance(port, int) else ""

    def _exit(self, column: Fragment, jump: _Jump) -> Exit:
        place, fragment = column.parts[jump.source]
        return fragment.exit_at(jump.port, place)

    def _entry(self, column: Fragment, target: int) -> Point:
        (x, y), fragment = column.parts[target]
        return x + fragment.width, y + fragment.entry
