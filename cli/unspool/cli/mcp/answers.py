"""Answers of a bounded size. An agent reads all of an answer, so a large value costs it dearly."""

from typing import Final

import orjson
from mcp.types import CallToolResult, TextContent

from unspool.cli.mcp.tool import Answer
from unspool.definitions.json_value import Json

MOST: Final = 40_000
"""Characters of an answer."""

_STEPS: Final = ((4_000, 200), (1_000, 50), (200, 20), (60, 5))
"""Characters of a text and items of a list or object that are kept, step by step until the answer fits."""

_DEEPEST: Final = 40

_SHORTENED: Final = (
    "The answer was shortened: … marks what was left out. Ask for less, such as a smaller limit."
)


def result_of(answer: Answer) -> CallToolResult:
    """Returns an answer for the protocol."""
    text, shortened = bounded(answer.value)
    content = [TextContent(text=text), *([TextContent(text=_SHORTENED)] if shortened else [])]
    return CallToolResult(content=[*content], is_error=answer.failed)


def refusal(message: str) -> CallToolResult:
    """Returns an error that an agent can read, and act on."""
    return CallToolResult(content=[TextContent(text=message[:MOST])], is_error=True)


def bounded(value: Json) -> tuple[str, bool]:
    """Returns a value as text of at most `MOST` characters, and whether it was shortened."""
    text = _text(value)
    if len(text) <= MOST:
        return text, False
    if isinstance(value, str):
        return text[:MOST] + "…", True
    for characters, items in _STEPS:
        text = _text(_cut(value, characters, items, _DEEPEST))
        if len(text) <= MOST:
            return text, True
    return text[:MOST] + "…", True


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _cut(value: Json, characters: int, items: int, levels: int) -> Json:
    match value:
        case str() if len(value) > characters:
            return f"{value[:characters]}… ({len(value)} characters)"
        case dict() | list() if levels == 0:
            return "…"
        case dict():
            kept = dict(list(value.items())[:items])
            cut = {name: _cut(each, characters, items, levels - 1) for name, each in kept.items()}
            return cut if len(value) <= items else {**cut, "…": f"{len(value) - items} more members"}
        case list():
            whole = [_cut(each, characters, items, levels - 1) for each in value[:items]]
            return whole if len(value) <= items else [*whole, f"… {len(value) - items} more items"]
        case _:
            return value
