"""Writes SVG elements. Every text and every attribute is escaped."""

import re
from typing import Final
from xml.sax.saxutils import escape

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot contain, not even escaped."""

_QUOTES: Final = {'"': "&quot;", "'": "&#39;"}


def content(text: str) -> str:
    """Returns a text for the content of an element, or for an attribute in quotes."""
    return escape(_FORBIDDEN.sub("\ufffd", text), _QUOTES)


def element(name: str, inner: str = "", /, **attributes: str | int | float) -> str:
    """Returns an element.

    Args:
        name: its name.
        inner: markup inside it.
        attributes: `_` at the end of a name is left out, `_` inside it is a hyphen.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{content(str(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def text_at(x: int, y: int, class_: str, text: str) -> str:
    """Returns a line of text; y is that of its base line."""
    return element("text", content(text), x=x, y=y, class_=class_)


def rectangle(x: int, y: int, width: int, height: int, radius: int, class_: str) -> str:
    """Returns a rectangle with rounded corners."""
    return element("rect", x=x, y=y, width=width, height=height, rx=radius, class_=class_)
