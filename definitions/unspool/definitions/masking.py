"""`document.metadata.unspool.mask`: which values of an execution views do not show.

A mask is a list of JSON pointers (RFC 6901). A pointer matches each value whose path ends with it, at any
depth; a segment `*` matches any member or element. So `/card/number` hides the number of every card, and
`/input/card/number` only that of a card in an input.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from unspool.definitions.json_value import Json

PLACE: Final = ("document", "metadata", "unspool", "mask")
MASKED: Final = "[masked]"
"""What views show in place of a value."""

MAX_POINTERS: Final = 100

_ANY: Final = "*"
_SHORTEST_TEXT: Final = 4
"""A value that is shorter is not looked for in texts."""

Segments = tuple[str, ...]


class _Match(NamedTuple):
    """A pointer that the path has begun to match."""

    pointer: Segments
    matched: int


class Mask:
    """The pointers of one definition. It is false if there are none."""

    def __init__(self, pointers: tuple[Segments, ...] = ()) -> None:
        self._pointers = pointers

    def __bool__(self) -> bool:
        return bool(self._pointers)

    def applied(self, value: Json) -> Json:
        """A value with what the pointers match replaced. It shares all other parts with the original."""
        return self._applied(value, ()) if self._pointers else value

    def hidden(self, value: Json) -> list[str]:
        """The texts and numbers that `applied` replaces, long enough to be found in other texts."""
        found = {str(leaf) for leaf in self._hidden(value, ())}
        return sorted((text for text in found if len(text) >= _SHORTEST_TEXT), key=len, reverse=True)

    def _applied(self, value: Json, begun: tuple[_Match, ...]) -> Json:
        changed: dict[Any, Json] = {}
        for step, child in _children(value):
            matches, whole = self._next(begun, str(step))
            new = MASKED if whole else self._applied(child, matches)
            if new is not child:
                changed[step] = new
        if not changed:
            return value
        if isinstance(value, dict):
            return value | changed
        return [changed.get(place, child) for place, child in enumerate(value)]

    def _hidden(self, value: Json, begun: tuple[_Match, ...]) -> Iterator[Json]:
        for step, child in _children(value):
            matches, whole = self._next(begun, str(step))
            if whole:
                yield from _leaves(child)
            else:
                yield from self._hidden(child, matches)

    def _next(self, begun: tuple[_Match, ...], step: str) -> tuple[tuple[_Match, ...], bool]:
        """The pointers that match with one step more, and whether one of them matches as a whole."""
        going = (*begun, *(_Match(pointer, 0) for pointer in self._pointers))
        matches = [
            _Match(each.pointer, each.matched + 1)
            for each in going
            if each.pointer[each.matched] in (step, _ANY)
        ]
        whole = any(each.matched == len(each.pointer) for each in matches)
        return tuple(matches), whole


def mask_of(definition: Mapping[str, Any]) -> Mask:
    """The mask of a definition. What is no pointer is left out: `problem_of` tells."""
    written = written_mask(definition)
    pointers = written if isinstance(written, list) else []
    return Mask(tuple(_segments(each) for each in pointers[:MAX_POINTERS] if problem_of(each) is None))


def written_mask(definition: Mapping[str, Any]) -> Json:
    """What a definition has in the place of the mask; None if it has nothing there."""
    value: Any = definition
    for step in PLACE:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def problem_of(pointer: Json) -> str | None:
    """Why something is no pointer of a mask; None if it is one."""
    if not isinstance(pointer, str) or not pointer.startswith("/") or pointer == "/":
        return "a pointer begins with '/' and names a member, such as /card/number"
    if "~" in pointer.replace("~0", "").replace("~1", ""):
        return "in a pointer, '~' is followed by 0 or 1"
    if all(segment == _ANY for segment in pointer[1:].split("/")):
        return "a pointer of '*' alone would hide everything"
    return None


def _segments(pointer: str) -> Segments:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def _children(value: Json) -> Iterator[tuple[Any, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict | list):
        for _, child in _children(value):
            yield from _leaves(child)
    elif value is not None and not isinstance(value, bool):
        yield value
