"""An outline as plain text: a tree of tasks, for terminals.

`│` joins tasks that run one after another; `╞` begins a branch of a `fork`. Where the flow does not go on to
the next task, an arrow says where it goes.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from unspool.definitions.plan import Directive
from unspool.diagram.outline.model import ListOutline, Outline, Role, Route, Section, TaskOutline

_STEP: Final = "├─ "
_LAST: Final = "└─ "
_BRANCH: Final = "╞═ "
_LAST_BRANCH: Final = "╘═ "
_RAIL: Final = "│  "
_SPACE: Final = "   "

_TITLED: Final = frozenset({Role.CATCH, Role.BEFORE, Role.AFTER})
"""Lists that have a line of their own."""

Marks = Mapping[str, str]
"""What is written after tasks, by their pointers: their states."""


def plain_text(outline: Outline, marks: Marks | None = None) -> str:
    """Returns the tree of a workflow. `marks` has the states of tasks as text, by pointer."""
    return "".join(f"{line.rstrip()}\n" for line in _workflow(outline, marks or {}))


def _workflow(outline: Outline, marks: Marks) -> Iterator[str]:
    title = f"  {outline.title}" if outline.title else ""
    yield f"{outline.namespace}/{outline.name} {outline.version}{title}"
    for note in outline.notes:
        yield f"  {note}"
    yield f"● {outline.schedule}" if outline.schedule else "●"
    yield from _tasks(outline.tasks, "", marks, ends=False)
    yield "◉"
    for section in outline.sections:
        yield from _section(section, marks)


def _section(section: Section, marks: Marks) -> Iterator[str]:
    yield ""
    yield _words(section.kind, section.name, section.summary, *section.notes)
    for place, tasks in enumerate(section.lists, 1):
        if tasks.role is Role.FUNCTION:
            yield from _tasks(tasks, "", marks)
        else:
            yield from _part(tasks, "", place == len(section.lists), marks)


def _tasks(tasks: ListOutline, rail: str, marks: Marks, *, ends: bool = True) -> Iterator[str]:
    """Yields the lines of a list. `ends` tells whether nothing follows below it on the same rail."""
    branches = tasks.role is Role.BRANCHES
    for place, task in enumerate(tasks.tasks):
        last = ends and place + 1 == len(tasks.tasks)
        knot = (_LAST_BRANCH if last else _BRANCH) if branches else (_LAST if last else _STEP)
        yield from _task(task, tasks, place, rail + knot, rail + (_SPACE if last else _RAIL), marks)


def _task(
    task: TaskOutline, tasks: ListOutline, place: int, first: str, rest: str, marks: Marks
) -> Iterator[str]:
    mark = f"  [{marks[task.pointer]}]" if task.pointer in marks else ""
    yield first + _words(task.name, task.label, task.summary) + mark
    below = rest + (_RAIL if task.lists else _SPACE)
    for note in task.notes:
        yield below + note
    for number, case in enumerate(task.cases):
        route = next(route for route in task.routes if route.case == number)
        when = f": {case.when}" if case.when else ""
        yield f"{below}{case.name}{when}{_arrow(route, tasks, place, case=True)}"
    for route in task.routes:
        if route.case is None and not route.skipped and (arrow := _arrow(route, tasks, place)):
            yield below + ("after catch" if route.caught else "then") + arrow
    for number, inner in enumerate(task.lists, 1):
        last = number == len(task.lists)
        if inner.role in _TITLED:
            yield from _part(inner, rest, last, marks)
        else:
            yield from _tasks(inner, rest, marks, ends=last)


def _part(tasks: ListOutline, rail: str, last: bool, marks: Marks) -> Iterator[str]:
    title = tasks.title or ("all errors" if tasks.role is Role.CATCH else "")
    yield rail + (_LAST if last else _STEP) + _words(f"({tasks.role})", title, *tasks.notes)
    yield from _tasks(tasks, rail + (_SPACE if last else _RAIL), marks)


def _arrow(route: Route, tasks: ListOutline, place: int, *, case: bool = False) -> str:
    """Returns where a route leads, unless that is the next task."""
    if route.directive == Directive.CONTINUE:
        return " → continue" if case else ""
    following = tasks.target(Directive.CONTINUE, place)
    same = following is not None and tasks.target(route.directive, place) == following
    return "" if same and not case else f" → {route.directive}"


def _words(*words: str) -> str:
    return "  ".join(word for word in words if word)
