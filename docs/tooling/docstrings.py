"""Docstrings in Google's style as Markdown."""

import inspect
import re
from collections.abc import Iterator
from typing import Final

_SECTION: Final = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_ITEM: Final = re.compile(r" {4}(\*{0,2}[\w.]+(?:, [\w.]+)*): (.*)")
_TITLES: Final = {"Args": "Arguments"}


def paragraphs(docstring: str | None) -> Iterator[str]:
    """Yields the lines of a docstring as Markdown; the items of its sections become a list."""
    section = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        item = _ITEM.fullmatch(line) if section else None
        if heading := _SECTION.fullmatch(line):
            section = True
            yield from (f"{_TITLES.get(heading[1], heading[1])}:", "")
        elif item is not None:
            yield f"- `{item[1]}`: {item[2]}"
        elif section and line.startswith("        "):
            yield f"    {line.strip()}"
        else:
            section = section and not line
            yield line
