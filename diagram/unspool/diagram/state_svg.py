"""The state of a task as SVG: a mark with an icon, and a badge with numbers."""

from collections.abc import Iterator
from typing import Final

from unspool.diagram.icons import STATES
from unspool.diagram.layout.geometry import Box
from unspool.diagram.markup import content, element, rectangle
from unspool.diagram.status import TaskState
from unspool.diagram.text_width import width_of

_HEIGHT: Final = 15
_MOST: Final = 9_999


def state_svg(box: Box, state: TaskState) -> str:
    """Returns the marks for the upper right corner of a box. A task that was not reached has none."""
    if not state.reached:
        return ""
    x, y = box.right - 17, box.y + 17
    disc = element("circle", cx=x, cy=y, r=8, class_="disc")
    sign = element("path", d=STATES[state.status], transform=f"translate({x - 8} {y - 8})", class_="sign")
    return element("g", disc + sign + _badge(box, state), class_="state")


def _badge(box: Box, state: TaskState) -> str:
    text = " ".join(_numbers(state))
    if not text:
        return ""
    width = round(width_of(text, 10)) + 10
    x, y = box.right - width - 8, box.y - _HEIGHT // 2
    label = element("text", content(text), x=x + width // 2, y=y + 11, class_="badge-text")
    return rectangle(x, y, width, _HEIGHT, _HEIGHT // 2, "badge") + label


def _numbers(state: TaskState) -> Iterator[str]:
    """Yields the number of runs and of attempts, if they are more than one."""
    for sign, number in (("\u00d7", state.runs), ("\u21bb", state.attempts)):
        if number > 1:
            yield f"{sign}{number}" if number <= _MOST else f"{sign}{_MOST}+"
