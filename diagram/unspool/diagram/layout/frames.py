"""Frames around the lists of a task: loops, the branches of a `fork`, `try` with its `catch`."""

from collections.abc import Sequence
from typing import Final

from unspool.diagram.layout.column import JOIN, Column
from unspool.diagram.layout.fragment import BESIDE, GAP, PADDING, Exit, Fragment
from unspool.diagram.layout.geometry import Box, Course, Shape
from unspool.diagram.layout.task_box import WIDTH, heading_height, task_box, task_frame
from unspool.diagram.outline.model import ListOutline, Role, TaskOutline

_BACK: Final = 20
"""Pixels left of a loop for the edge back to its beginning."""

_BAR: Final = 12
"""Pixels between a header and the line from which branches begin."""


def task_fragment(task: TaskOutline) -> Fragment:
    """Returns a task with everything in it."""
    if not task.lists:
        return task_box(task)
    role = task.lists[0].role
    if role is Role.BRANCHES:
        return _fork(task, task.lists[0])
    if role is Role.TRY:
        return _try(task, *task.lists)
    return _around(task, task.lists[0], loop=role is Role.LOOP)


def column(tasks: ListOutline, *, loop: bool = False) -> Fragment:
    """Returns a list of tasks as a column."""
    return Column(tasks, [task_fragment(task) for task in tasks.tasks], loop=loop).fragment()


def _around(task: TaskOutline, tasks: ListOutline, *, loop: bool) -> Fragment:
    """One list; in a loop it has an edge from its end to its beginning."""
    loop = loop and bool(tasks.tasks)
    inside = column(tasks, loop=loop)
    left = PADDING + (_BACK if loop else 0)
    width = max(WIDTH, left + inside.width + PADDING)
    frame = task_frame(task, width, inside.height + 2 * GAP, left + inside.axis)
    top = frame.height - inside.height - GAP
    frame.parts.append(((left, top), inside))
    _enter_and_leave(frame, inside, top)
    if loop:
        _go_back(frame, inside, left, top)
    return frame


def _enter_and_leave(frame: Fragment, inside: Fragment, top: int) -> None:
    header = frame.boxes[0].header
    if inside.key:
        frame.join(frame.key, inside.key, Course.NEXT, (frame.axis, header), (frame.axis, top))
    _leave(frame, inside, top + inside.height)


def _leave(frame: Fragment, inside: Fragment, bottom: int) -> None:
    if inside.leaves:
        down = (frame.axis, bottom), (frame.axis, frame.height)
        frame.join(inside.leaves, frame.key, Course.NEXT, *down, arrow=False)


def _go_back(frame: Fragment, inside: Fragment, left: int, top: int) -> None:
    """The end of the column of a loop is a join."""
    y = top + inside.height - JOIN // 2
    x, above = left - _BACK // 2 - 2, top - GAP // 2
    around = (frame.axis - JOIN // 2, y), (x, y), (x, above), (frame.axis, above), (frame.axis, top)
    frame.join(inside.leaves, inside.key, Course.LOOP, *around)


# -- fork


def _fork(task: TaskOutline, branches: ListOutline) -> Fragment:
    columns = [
        column(ListOutline(pointer=f"{branches.pointer}/{place}", role=Role.BRANCHES, tasks=(branch,)))
        for place, branch in enumerate(branches.tasks)
    ]
    inner = _beside(columns)
    height = max((each.height for each in columns), default=0)
    width = max(WIDTH, inner + 2 * PADDING)
    axes = [x + each.axis for x, each in zip(_places(columns), columns, strict=True)]
    axis = (axes[0] + axes[-1]) // 2 if axes else width // 2
    frame = task_frame(task, width, height + 2 * (GAP + _BAR), axis)
    top = frame.boxes[0].header + GAP + _BAR
    for x, each in zip(_places(columns), columns, strict=True):
        frame.parts.append(((x, top), each))
        _branch(frame, each, x + each.axis, top)
    return frame


def _branch(frame: Fragment, branch: Fragment, x: int, top: int) -> None:
    """Adds the edges from the header to a branch, and from the branch to the lower side of the frame."""
    header, axis = frame.boxes[0].header, frame.axis
    bar, joined = header + _BAR + 2, frame.height - _BAR - 2
    frame.join(frame.key, branch.key, Course.NEXT, (axis, header), (axis, bar), (x, bar), (x, top))
    if branch.leaves:
        down = (x, top + branch.height), (x, joined), (axis, joined), (axis, frame.height)
        frame.join(branch.leaves, frame.key, Course.NEXT, *down, arrow=False)


def _places(columns: Sequence[Fragment]) -> list[int]:
    """Returns the x of columns that are beside each other."""
    places, x = [], PADDING
    for each in columns:
        places.append(x)
        x += each.width + BESIDE
    return places


def _beside(columns: Sequence[Fragment]) -> int:
    return sum(each.width for each in columns) + BESIDE * max(0, len(columns) - 1)


# -- try


def _try(task: TaskOutline, tasks: ListOutline, catch: ListOutline) -> Fragment:
    inside, handling = column(tasks), part(catch)
    top_space, height = GAP + _BAR, max(inside.height, handling.height)
    beside = max(inside.width, WIDTH // 2) + BESIDE
    width = PADDING + beside + handling.width + PADDING
    axis = PADDING + (inside.axis if inside.key else WIDTH // 4)
    frame = task_frame(task, width, top_space + height + GAP, axis)
    top = frame.boxes[0].header + top_space
    frame.parts += [((PADDING, top), inside), ((PADDING + beside, top), handling)]
    _enter_and_leave(frame, inside, top)
    _join_catch(frame, handling, catch, PADDING + beside, top)
    if catch.notes and inside.key:
        x, above = PADDING + beside + 26, top - GAP // 2 - 2
        back = (x, top), (x, above), (axis, above), (axis, top)
        frame.join(handling.key, inside.key, Course.RETRY, *back)
    return frame


def _join_catch(frame: Fragment, handling: Fragment, catch: ListOutline, x: int, top: int) -> None:
    header, joined = frame.boxes[0].header, frame.height - GAP // 2
    axis = x + max(handling.axis, 60)
    frame.join(frame.key, handling.key, Course.ERROR, (axis, header), (axis, top))
    exit_ = handling.exits["then"]
    frame.exits["caught"] = Exit(exit_.key, (x + exit_.at[0], top + exit_.at[1]))
    if catch.goes_on and handling.leaves:
        down = (x + handling.axis, top + handling.height), (x + handling.axis, joined)
        end = (frame.axis, joined), (frame.axis, frame.height)
        frame.join(handling.leaves, frame.key, Course.NEXT, *down, *end, arrow=False)


def part(tasks: ListOutline) -> Fragment:
    """Returns a list in a frame of its own, such as `catch`."""
    inside = column(tasks)
    header = heading_height(len(tasks.notes))
    width = max(WIDTH, inside.width + 2 * PADDING)
    height = header + (inside.height + 2 * GAP if inside.key else 0)
    key = f"{tasks.pointer}#{tasks.role}"
    box = Box(key=key, shape=Shape.PART, x=0, y=0, width=width, height=height, header=header, list=tasks)
    axis = PADDING + inside.axis if inside.key else width // 2
    frame = Fragment(key=key, width=width, height=height, axis=axis, leaves=key, boxes=[box])
    frame.exits["then"] = Exit(key, (width, header // 2))
    if inside.key:
        frame.parts.append(((PADDING, header + GAP), inside))
        frame.leaves = key if inside.leaves else ""
        _enter_and_leave(frame, inside, header + GAP)
    return frame
