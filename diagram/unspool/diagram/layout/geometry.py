"""What a layout consists of. All numbers are pixels; y grows downwards."""

from dataclasses import dataclass
from enum import StrEnum

from unspool.diagram.outline.model import ListOutline, Outline, TaskOutline

Point = tuple[int, int]


class Shape(StrEnum):
    """What a box is."""

    TASK = "task"
    FRAME = "frame"
    """A task with lists of tasks inside."""
    PART = "part"
    """A list that has a frame of its own: `catch`, and the lists of extensions."""
    START = "start"
    SCHEDULE = "schedule"
    """The start of a workflow that has a schedule."""
    END = "end"
    JOIN = "join"
    """The end of a list, where edges meet."""
    STOP = "stop"
    """A flow directive `end`."""


class Course(StrEnum):
    """What an edge means."""

    NEXT = "next"
    SKIP = "skip"
    """The `if` of the task does not hold."""
    JUMP = "jump"
    """A flow directive, or a case of a `switch`."""
    LOOP = "loop"
    ERROR = "error"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A task, a frame, or another place where edges end."""

    key: str
    """The pointer of a task; otherwise a text that no other box has."""
    shape: Shape
    x: int
    y: int
    width: int
    height: int
    header: int = 0
    """The height of the header of a frame."""
    task: TaskOutline | None = None
    list: ListOutline | None = None
    text: str = ""

    @property
    def right(self) -> int:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y of its lower side."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge between two boxes: horizontal and vertical lines."""

    source: str
    target: str
    points: tuple[Point, ...]
    course: Course
    arrow: bool = True
    label: str = ""
    """The case of a `switch` that leads along it. Its box shows it, so an SVG does not repeat it."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A heading, with a line below."""

    x: int
    y: int
    width: int
    title: str
    text: str = ""
    large: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A diagram whose parts have their places. Frames come before what is in them."""

    outline: Outline
    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    captions: tuple[Caption, ...]
