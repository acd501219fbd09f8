"""A layout as Mermaid text: a flowchart that GitHub and many editors draw.

Mermaid places the boxes itself, so only the boxes, their nesting and the edges of the layout are used. Frames
are subgraphs. Boxes have short ids, because pointers are no ids in Mermaid.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from unspool.diagram.layout.geometry import Box, Course, Edge, Layout, Shape

_UNSAFE: Final = re.compile(r"[^\w .,:/+=()-]")
"""Characters that can have a meaning in Mermaid or HTML. They become entities."""

_BRACKETS: Final = {
    Shape.START: ("((", "))"),
    Shape.SCHEDULE: ("([", "])"),
    Shape.END: ("(((", ")))"),
    Shape.JOIN: ("((", "))"),
    Shape.STOP: ("([", "])"),
}
_BRACKETS_OF_KINDS: Final = {
    "switch": ("{", "}"),
    "listen": ("([", "])"),
    "emit": ("([", "])"),
    "wait": ("([", "])"),
    "raise": ("{{", "}}"),
    "workflow": ("[[", "]]"),
}
"""The brackets of tasks by kind or variant; others are rectangles."""

_ARROWS: Final = {Course.SKIP: "-.->", Course.LOOP: "-.->", Course.ERROR: "-.->", Course.RETRY: "-.->"}

_STYLES: Final = {
    "running": "stroke:#0969da,stroke-width:3px",
    "waiting": "stroke:#9a6700,stroke-width:3px",
    "retrying": "stroke:#bc4c00,stroke-width:3px",
    "completed": "stroke:#1a7f37,stroke-width:2px",
    "faulted": "stroke:#cf222e,stroke-width:3px",
    "cancelled": "stroke-dasharray:4 3",
    "skipped": "stroke-dasharray:2 4",
}


def mermaid(drawn: Layout, states: Mapping[str, str] | None = None) -> str:
    """Returns a layout as Mermaid text. `states` has the states of tasks by pointer."""
    ids = {box.key: f"n{place}" for place, box in enumerate(drawn.boxes)}
    lines = ["flowchart TD", *_boxes(drawn.boxes, ids), *_edges(drawn, ids), *_states(ids, states or {})]
    return "\n".join(lines) + "\n"


def _boxes(boxes: Sequence[Box], ids: Mapping[str, str]) -> Iterator[str]:
    """Yields the boxes, and subgraphs around what is inside frames. Frames come before that."""
    around: list[Box] = []
    for place, box in enumerate(boxes):
        while around and not _contains(around[-1], box):
            around.pop()
            yield "  " * (len(around) + 1) + "end"
        indent = "  " * (len(around) + 1)
        following = boxes[place + 1] if place + 1 < len(boxes) else None
        if box.header and following is not None and _contains(box, following):
            yield f'{indent}subgraph {ids[box.key]}["{_label(box)}"]'
            around.append(box)
        else:
            before, after = _brackets(box)
            yield f'{indent}{ids[box.key]}{before}"{_label(box)}"{after}'
    for level in range(len(around), 0, -1):
        yield "  " * level + "end"


def _edges(drawn: Layout, ids: Mapping[str, str]) -> Iterator[str]:
    """Yields the edges between boxes that are not inside each other."""
    boxes = {box.key: box for box in drawn.boxes}
    for edge in drawn.edges:
        source, target = boxes[edge.source], boxes[edge.target]
        if not (_contains(source, target) or _contains(target, source)):
            yield f"  {ids[edge.source]} {_arrow(edge)} {ids[edge.target]}"


def _arrow(edge: Edge) -> str:
    """Returns the arrow of an edge; that of a case has the name of the case."""
    arrow = _ARROWS.get(edge.course, "-->")
    return f'{arrow}|"{_text(edge.label)}"|' if edge.label else arrow


def _states(ids: Mapping[str, str], states: Mapping[str, str]) -> Iterator[str]:
    for state, style in _STYLES.items():
        members = [ids[pointer] for pointer, found in states.items() if found == state and pointer in ids]
        if members:
            yield f"  classDef {state} {style}"
            yield f"  class {','.join(members)} {state}"


def _contains(outer: Box, inner: Box) -> bool:
    return (
        outer.header > 0
        and outer is not inner
        and outer.x <= inner.x
        and inner.right <= outer.right
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom
    )


def _brackets(box: Box) -> tuple[str, str]:
    if box.task is None:
        return _BRACKETS.get(box.shape, ("[", "]"))
    by_kind = _BRACKETS_OF_KINDS.get(box.task.kind, ("[", "]"))
    return _BRACKETS_OF_KINDS.get(box.task.variant, by_kind)


def _label(box: Box) -> str:
    if box.task is not None:
        lines = [box.task.name, f"{box.task.label} {box.task.summary}", *box.task.notes]
    elif box.list is not None:
        lines = [f"{box.list.role} {box.list.title}", *box.list.notes]
    else:
        lines = [box.text or _MARKS.get(box.shape, " ")]
    return "<br/>".join(_text(line.strip()) for line in lines if line.strip()) or " "


_MARKS: Final = {Shape.START: "start", Shape.END: "end", Shape.JOIN: "-"}


def _text(text: str) -> str:
    """Returns a text in which nothing has a meaning for Mermaid or HTML."""
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", " ".join(text.split()))
