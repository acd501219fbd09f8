"""Tables and notes in Markdown that GitHub and the site show alike."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

GENERATED: Final = "<!-- `make reference` writes this page from the code: do not edit it. -->"

_SPECIAL: Final = re.compile(r"([|*<>])")
_CODE: Final = re.compile(r"(`[^`]*`)")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields the lines of a table. The cells are Markdown without line breaks."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.split()) for cell in row) + " |"


def text(plain: str) -> str:
    """Returns a text of the code as Markdown; what is between backticks stays code."""
    parts = _CODE.split(plain)
    return "".join(
        part.replace("|", "\\|") if part.startswith("`") else _SPECIAL.sub(r"\\\1", part) for part in parts
    )


def code(plain: str) -> str:
    """Returns a text as code; nothing for an empty text."""
    return f"`{plain}`".replace("|", "\\|") if plain else ""


def page(title: str, introduction: str, body: Iterable[str]) -> str:
    """Returns a whole page."""
    return "\n".join((f"# {title}", "", GENERATED, "", introduction, "", *body)).rstrip() + "\n"
