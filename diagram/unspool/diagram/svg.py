"""A layout as SVG.

Each task is one element with its JSON pointer (`data-pointer`). There are no scripts, no `style` attributes
and no ids: the style is in one stylesheet, so a page with a strict Content-Security-Policy can contain a
diagram.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from unspool.diagram.boxes_svg import box_svg
from unspool.diagram.edges_svg import edge_svg
from unspool.diagram.layout.geometry import Caption, Layout
from unspool.diagram.markup import content, element, rectangle, text_at
from unspool.diagram.status import TaskState
from unspool.diagram.text_width import fitted


@cache
def stylesheet() -> str:
    """Returns the stylesheet of diagrams, for a page that contains them."""
    return files("unspool.diagram").joinpath("diagram.css").read_text("utf-8")


def svg(drawn: Layout, states: Mapping[str, TaskState] | None = None, *, styled: bool = True) -> str:
    """Returns a layout as an SVG document.

    Args:
        drawn: the layout.
        states: the states of tasks by pointer, if they are shown.
        styled: whether it contains the stylesheet. A page that has the stylesheet needs it only once.
    """
    outline = drawn.outline
    title = element("title", content(f"{outline.namespace}/{outline.name} {outline.version}"))
    style = element("style", content(stylesheet())) if styled else ""
    canvas = rectangle(0, 0, drawn.width, drawn.height, 0, "canvas")
    shown = states or {}
    frames = [box_svg(box, outline, shown.get(box.key)) for box in drawn.boxes if box.header]
    boxes = [box_svg(box, outline, shown.get(box.key)) for box in drawn.boxes if not box.header]
    edges = [edge_svg(edge) for edge in drawn.edges]
    captions = [_caption(caption) for caption in drawn.captions]
    return element(
        "svg",
        "\n".join(part for part in (title, style, canvas, *captions, *frames, *edges, *boxes) if part) + "\n",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {drawn.width} {drawn.height}",
        width=drawn.width,
        height=drawn.height,
        class_="unspool-diagram",
        role="img" if styled else "group",  # what is inside an image is hidden from screen readers
    )


def _caption(caption: Caption) -> str:
    size, class_, below = (18, "heading", 22) if caption.large else (11, "caption", 17)
    title = caption.title if caption.large else caption.title.upper()
    x, y = caption.x, caption.y + size - 3
    lines = text_at(x, y, class_, fitted(title, caption.width, size, bold=True))
    lines += text_at(x, y + below, "summary", fitted(caption.text, caption.width, 11))
    return element("g", element("title", content(f"{caption.title} {caption.text}")) + lines)
