"""Boxes as SVG: tasks, frames, and the marks of the flow."""

from typing import Final

from unspool.diagram.icons import ICONS, SCHEDULES
from unspool.diagram.layout.geometry import Box, Shape
from unspool.diagram.layout.task_box import NOTE, ROW, TITLE, case_top
from unspool.diagram.markup import content, element, rectangle, text_at
from unspool.diagram.outline.model import Outline, TaskOutline
from unspool.diagram.state_svg import state_svg
from unspool.diagram.status import TaskState
from unspool.diagram.text_width import fitted, width_of

_ACCENTS: Final = {
    "set": "data",
    "listen": "event",
    "emit": "event",
    "call": "call",
    "run": "run",
    "raise": "error",
    "wait": "time",
}
"""The colours of kinds of tasks; all others have that of the flow."""

_TEXT: Final = 50
"""The x of texts in a box: right of the icon."""

_SIZE: Final = 11

_MARK: Final = 22
"""Pixels for the mark of a state."""


def box_svg(box: Box, outline: Outline, state: TaskState | None = None) -> str:
    """Returns a box; that of a task shows its state, if there is one."""
    match box.shape:
        case Shape.TASK | Shape.FRAME:
            assert box.task is not None  # these shapes are of tasks
            return _task(box, box.task, state)
        case Shape.PART:
            return _part(box)
        case Shape.SCHEDULE:
            return _schedule(box, outline)
        case _:
            return element("g", _mark(box), class_=f"mark {box.shape}")


# -- tasks


def _task(box: Box, task: TaskOutline, state: TaskState | None) -> str:
    frame = box.shape is Shape.FRAME
    inside = [_title(task, state), _outside(box)]
    if task.variant == "workflow":  # a sub-workflow has a double line
        inside.append(rectangle(box.x + 3, box.y + 3, box.width - 6, box.height - 6, 6, "inner"))
    texts = task.name, task.label, task.summary, task.notes
    inside += [_icon(box, task.variant), *_heading(box, *texts, right=_MARK if state else 0)]
    inside += _cases(box, task)
    if task.extended:
        inside.append(element("circle", cx=box.x + 40, cy=box.y + 9, r=3, class_="extended"))
    if state is not None:
        inside.append(state_svg(box, state))
    accent = _ACCENTS.get(task.kind, "flow")
    classes = ["task", "frame" if frame else "leaf", accent, f"kind-{task.kind}", f"variant-{task.variant}"]
    classes += ["source"] if task.kind == "listen" else []
    classes += [f"is-{state.status}"] if state is not None else []
    return element(
        "g",
        "".join(inside),
        class_=" ".join(classes),
        data_pointer=task.pointer,
        data_kind=task.kind,
    )


def _title(task: TaskOutline, state: TaskState | None) -> str:
    """The text that a browser shows for the box: everything that may be cut in it."""
    cases = (f"{case.name}: {case.when}" for case in task.cases)
    extended = ("extensions apply to it",) if task.extended else ()
    shown = () if state is None else (str(state),)
    lines = (task.name, f"{task.label} {task.summary}".strip(), *task.notes, *cases, *extended, *shown)
    return element("title", content("\n".join(lines)))


def _outside(box: Box) -> str:
    body = rectangle(box.x, box.y, box.width, box.height, 8, "body")
    return body + (rectangle(box.x, box.y, box.width, box.header, 8, "header") if box.header else "")


def _icon(box: Box, variant: str) -> str:
    tile = rectangle(box.x + 10, box.y + 9, 30, 30, 7, "tile")
    path = ICONS.get(variant, ICONS["task"])
    shifted = f"translate({box.x + 17} {box.y + 16})"
    return tile + element("path", d=path, transform=shifted, class_="icon")


def _heading(
    box: Box, name: str, label: str, summary: str, notes: tuple[str, ...], right: int = 0
) -> list[str]:
    """Returns the texts at the top of a box. `right` is left free at the right side, for the state."""
    x, room = box.x + _TEXT, box.width - _TEXT - 12 - right
    lines = [text_at(x, box.y + 21, "name", fitted(name, room, 13, bold=True))]
    after = 0
    if label:
        lines.append(text_at(x, box.y + 37, "label", label))
        after = round(width_of(label, _SIZE, bold=True)) + 6
    lines.append(text_at(x + after, box.y + 37, "summary", fitted(summary, room - after, _SIZE)))
    for place, note in enumerate(notes):
        lines.append(text_at(x, box.y + TITLE + 6 + place * NOTE, "note", fitted(note, room, _SIZE)))
    return lines


def _cases(box: Box, task: TaskOutline) -> list[str]:
    parts = []
    for place, case in enumerate(task.cases):
        top = box.y + case_top(task, place)
        parts.append(element("line", x1=box.x + 1, x2=box.right - 1, y1=top, y2=top, class_="rule"))
        name = fitted(case.name, box.width // 2 - 20, 11, bold=True)
        used = round(width_of(name, _SIZE, bold=True)) + 8
        room = box.width - used - 28
        base = top + ROW // 2 + 4
        condition = fitted(case.when, room, _SIZE)
        parts += [
            text_at(box.x + 14, base, "label", name),
            text_at(box.x + 14 + used, base, "condition", condition),
        ]
    return parts


# -- other boxes


def _part(box: Box) -> str:
    assert box.list is not None  # this shape is of lists
    role, title, notes = str(box.list.role), box.list.title, box.list.notes
    accent = "error" if role == "catch" else "flow"
    summary = title or ("all errors" if role == "catch" else "")
    shown = element("title", content("\n".join((f"{role} {summary}".strip(), *notes))))
    inside = [shown, _outside(box), _icon(box, role), *_heading(box, role, "", summary, notes)]
    return element("g", "".join(inside), class_=f"frame part {accent}")


def _schedule(box: Box, outline: Outline) -> str:
    accent = "event" if outline.schedule_kind == "on" else "time"
    icon = _icon(box, SCHEDULES.get(outline.schedule_kind, "wait"))
    shown = element("title", content(f"schedule: {box.text}"))
    inside = [shown, _outside(box), icon, *_heading(box, "schedule", "", box.text, ())]
    return element("g", "".join(inside), class_=f"schedule source {accent}")


def _mark(box: Box) -> str:
    x, y, radius = box.x + box.width // 2, box.y + box.height // 2, box.width // 2
    match box.shape:
        case Shape.START:
            return element("title", "start") + element("circle", cx=x, cy=y, r=radius - 2, class_="terminal")
        case Shape.END:
            ring = element("circle", cx=x, cy=y, r=radius - 1, class_="ring")
            return element("title", "end") + ring + element("circle", cx=x, cy=y, r=5, class_="terminal")
        case Shape.STOP:
            pill = rectangle(box.x, box.y, box.width, box.height, box.height // 2, "stop")
            title = element("title", "the workflow ends")
            return title + pill + text_at(x, y + 4, "stop-text", box.text)
        case _:
            return element("circle", cx=x, cy=y, r=radius, class_="join")
