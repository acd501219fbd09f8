"""Lays out a whole workflow: its tasks, and its functions and extensions at the right."""

from collections.abc import Iterable
from typing import Final

from unspool.definitions.plan import Plan
from unspool.diagram.layout.column import Column
from unspool.diagram.layout.fragment import BESIDE, GAP, Fragment, mark
from unspool.diagram.layout.frames import part, task_fragment
from unspool.diagram.layout.geometry import Box, Caption, Edge, Layout, Shape
from unspool.diagram.layout.task_box import WIDTH
from unspool.diagram.outline.model import Outline, Section
from unspool.diagram.outline.workflow import outline

_MARGIN: Final = 24
_HEADING: Final = 62
"""The height of the heading, with the space below it."""

_TITLE: Final = 320
"""The least width of the heading."""

_CAPTION: Final = 44
_TERMINAL: Final = 20
_SCHEDULE: Final = 48


def layout(plan: Plan) -> Layout:
    """Returns the layout of a plan. Each of its tasks has one box, whose key is the pointer of the task."""
    return layout_of(outline(plan))


def layout_of(workflow: Outline) -> Layout:
    """Returns the layout of an outline."""
    main = _workflow(workflow)
    sections = [_section(section) for section in workflow.sections]
    whole = Fragment(key="", width=0, height=0, axis=0)
    whole.captions.append(_heading(workflow, max(main.width, _TITLE)))
    whole.parts.append(((_MARGIN, _MARGIN + _HEADING), main))
    right, bottom = _MARGIN + max(main.width, _TITLE), _MARGIN + _HEADING + main.height
    x, y = right + 2 * BESIDE, _MARGIN + _HEADING
    for section in sections:
        whole.parts.append(((x, y), section))
        right, bottom = max(right, x + section.width), max(bottom, y + section.height)
        y += section.height + 2 * GAP
    return _drawn(workflow, whole.placed((0, 0)), right + _MARGIN, bottom + _MARGIN)


def _drawn(workflow: Outline, items: Iterable[Box | Edge | Caption], width: int, height: int) -> Layout:
    boxes: list[Box] = []
    edges: list[Edge] = []
    captions: list[Caption] = []
    for item in items:
        match item:
            case Box():
                boxes.append(item)
            case Edge():
                edges.append(item)
            case Caption():
                captions.append(item)
    return Layout(workflow, width, height, tuple(boxes), tuple(edges), tuple(captions))


def _workflow(workflow: Outline) -> Fragment:
    start = mark(Shape.START, "#start", _TERMINAL, _TERMINAL)
    if workflow.schedule:
        start = mark(Shape.SCHEDULE, "#start", WIDTH, _SCHEDULE, workflow.schedule)
    end = mark(Shape.END, "#end", _TERMINAL, _TERMINAL)
    fragments = [task_fragment(task) for task in workflow.tasks.tasks]
    return Column(workflow.tasks, fragments, start=start, end=end).fragment()


def _heading(workflow: Outline, width: int) -> Caption:
    text = f"{workflow.namespace} · {workflow.version}"
    parts = (text, *workflow.notes)
    title = workflow.title or workflow.name
    if workflow.title:
        parts = (f"{workflow.namespace}/{workflow.name} · {workflow.version}", *workflow.notes)
    return Caption(_MARGIN, _MARGIN, width, title, " · ".join(parts), large=True)


def _section(section: Section) -> Fragment:
    lists = [
        task_fragment(each.tasks[0]) if section.kind == "function" else part(each) for each in section.lists
    ]
    whole = Fragment(key="", width=WIDTH, height=_CAPTION, axis=0)
    title = section.kind if section.kind == "function" else f"{section.kind} {section.name}"
    text = " · ".join(part for part in (section.summary, *section.notes) if part)
    whole.captions.append(Caption(0, 0, WIDTH, title, text))
    x = 0
    for each in lists:
        whole.parts.append(((x, _CAPTION), each))
        x += each.width + BESIDE
        whole.height = max(whole.height, _CAPTION + each.height)
    whole.width = max(WIDTH, x - BESIDE)
    return whole
