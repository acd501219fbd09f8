"""The box of a task without lists, and the frame of one with lists."""

from typing import Final

from unspool.diagram.layout.fragment import Exit, Fragment, Port
from unspool.diagram.layout.geometry import Box, Shape
from unspool.diagram.outline.model import TaskOutline

WIDTH: Final = 236
TITLE: Final = 48
"""The height of name and kind."""

NOTE: Final = 17
"""The height of a note."""

ROW: Final = 24
"""The height of a case."""

_BELOW: Final = 7
"""Pixels below the last note or case."""

_ENTRY: Final = 15


def heading_height(notes: int) -> int:
    """Returns the height of a name with its kind and its notes."""
    return TITLE + notes * NOTE + (_BELOW if notes else 0)


def case_top(task: TaskOutline, place: int) -> int:
    """Returns the y of a case in the box of a `switch`."""
    return heading_height(len(task.notes)) + place * ROW


def task_box(task: TaskOutline) -> Fragment:
    """Returns the box of a task without lists. Its cases are rows, each with an exit at the side."""
    height = case_top(task, len(task.cases)) + (_BELOW if task.cases else 0)
    box = Box(key=task.pointer, shape=Shape.TASK, x=0, y=0, width=WIDTH, height=height, task=task)
    exits: dict[Port, Exit] = {
        place: Exit(task.pointer, (WIDTH, case_top(task, place) + ROW // 2))
        for place in range(len(task.cases))
    }
    exits["then"] = Exit(task.pointer, (WIDTH, case_top(task, 0) - 13))
    return Fragment(
        key=task.pointer,
        width=WIDTH,
        height=height,
        axis=WIDTH // 2,
        entry=_ENTRY,
        exits=exits,
        leaves=task.pointer,
        boxes=[box],
    )


def task_frame(task: TaskOutline, width: int, height: int, axis: int) -> Fragment:
    """Returns the frame of a task, without its content. `height` is that of the content."""
    header = heading_height(len(task.notes))
    box = Box(
        key=task.pointer,
        shape=Shape.FRAME,
        x=0,
        y=0,
        width=width,
        height=header + height,
        header=header,
        task=task,
    )
    return Fragment(
        key=task.pointer,
        width=width,
        height=box.height,
        axis=axis,
        entry=_ENTRY,
        exits={"then": Exit(task.pointer, (width, box.height - 12))},
        leaves=task.pointer,
        boxes=[box],
    )
