"""Joins lines that programs have broken, such as those of base64: a search finds what is in them."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

Span = tuple[int, int]
"""Where something begins, and where it ends."""

_SHORTEST_LINE: Final = 32
"""Programs break lines after 48 to 76 characters."""

_IN_LINE: Final = r"[\w+/\\%-]"
_AFTER: Final = rf"(?:[ \t]|\\?[\r\n])*+(?={_IN_LINE})"
"""Indentation and more breaks."""
_BREAKS: Final = {
    first: re.compile(
        rf"{re.escape(first)}(?<={_IN_LINE}{{{_SHORTEST_LINE}}}.){rest}{_AFTER}", re.DOTALL | re.ASCII
    )
    for first, rest in {
        "\n": "",
        "\r": r"\n?",
        "\\": r"\\{0,16}+(?:r\\{1,16}+)?n",
        "%": r"(?:25){0,2}(?:0[dD]%(?:25){0,2})?0[aA]",
        "&": r"(?:#(?:13|x[dD]);&)?#(?:10|x[aA]);",
    }.items()
}
"""Breaks between lines without blanks, also as JSON, URLs and XML have them, by their first character.

A pattern that begins with one character is found fast.
"""


class JoinedLines:
    """The lines that such breaks separate, without the breaks."""

    def __init__(self, text: str, breaks: list[Span], reach: int) -> None:
        """Takes how many characters at a break are of interest."""
        parts = list(_parts(text, breaks, reach))
        self.text = "".join(text[begin:end] for begin, end in parts)
        self._begins = [begin for begin, _ in parts]
        self._places: list[int] = []
        """Where the parts begin in what is joined."""
        at = 0
        for begin, end in parts:
            self._places.append(at)
            at += end - begin

    def original(self, span: Span) -> Span:
        """The place in the original text of a place in what is joined."""
        return self._at(span[0]), self._at(span[1] - 1) + 1

    def _at(self, place: int) -> int:
        part = bisect_right(self._places, place) - 1
        return self._begins[part] + place - self._places[part]


def breaks_in(text: str) -> list[Span]:
    """Where such breaks are, in order. They may overlap."""
    if len(text) <= _SHORTEST_LINE:
        return []
    patterns = [pattern for first, pattern in _BREAKS.items() if first in text]
    return sorted(found.span() for pattern in patterns for found in pattern.finditer(text))


def _parts(text: str, breaks: list[Span], reach: int) -> Iterator[Span]:
    at = 0
    for begin, end in breaks:
        if begin >= at:
            yield from _ends(at, begin, reach)
            at = end
    yield from _ends(at, len(text), reach)


def _ends(begin: int, end: int, reach: int) -> Iterator[Span]:
    """Yields a part, or both ends of a long one."""
    if end - begin > 2 * reach:
        yield begin, begin + reach
        begin = end - reach
    if begin < end:
        yield begin, end
