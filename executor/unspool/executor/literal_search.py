"""Finds many literal texts in a text. Its time grows with the text, and hardly with their number."""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from unspool.executor.joined_lines import JoinedLines, Span, breaks_in

_FEW: Final = 64
"""So many texts are always searched for one after another, which is fast as long as they are few."""
_MANY: Final = 1024
"""More are never searched for so."""
_FEW_FOR_EACH: Final = 4
"""Between both it is faster in a text with a character or more for so many texts."""

_PREFIXES: Final = (4, 16)
"""Lengths of the beginnings by which many texts are looked up."""


class LiteralSearch:
    """Finds texts, some of them with a character more at an end, if it is one of `around`."""

    def __init__(self, texts: Mapping[str, Span], around: frozenset[str]) -> None:
        """Takes texts of four characters or more, each with how many characters to add before and after."""
        self._texts = dict(sorted(texts.items(), key=lambda item: len(item[0])))
        self._lengths = [*map(len, self._texts)]
        self._around = around
        self.size = sum(self._lengths)
        """Characters of the texts."""
        self._reach = max(self._lengths, default=0) + 1
        bounds = zip(_PREFIXES, (*_PREFIXES[1:], None), strict=True)
        self._indexes = [_Index(texts, *each) for each in bounds] if len(texts) > _FEW else []

    def __bool__(self) -> bool:
        return bool(self._texts)

    def spans(self, text: str) -> Iterator[Span]:
        """Where the texts are, in the order in which they begin; they may overlap.

        They are also found if breaks between lines of base64 are in them.
        """
        if not (breaks := breaks_in(text)):
            return self._spans(text)
        lines = JoinedLines(text, breaks, self._reach)
        return heapq.merge(self._spans(text), map(lines.original, self._spans(lines.text)))

    def _spans(self, text: str) -> Iterator[Span]:
        possible = bisect_right(self._lengths, len(text))
        if not possible:
            return iter(())
        if self._indexes and possible > min(_MANY, max(_FEW, _FEW_FOR_EACH * len(text))):
            return heapq.merge(*(self._indexed(text, index) for index in self._indexes))
        found = [each for each in islice(self._texts, possible) if each in text]
        return heapq.merge(*(self._each(text, one) for one in found))

    def _each(self, text: str, one: str) -> Iterator[Span]:
        at = text.find(one)
        while at >= 0:
            yield self._extended(text, at, one)
            at = text.find(one, at + len(one))

    def _indexed(self, text: str, index: "_Index") -> Iterator[Span]:
        """Yields the longest text at each place."""
        lengths, length = index.lengths, index.prefix
        places = range(len(text) - length + 1) if lengths else ()
        for at in [at for at in places if text[at : at + length] in lengths]:
            for size in lengths[text[at : at + length]]:
                if (one := text[at : at + size]) in self._texts:
                    yield self._extended(text, at, one)
                    break

    def _extended(self, text: str, at: int, one: str) -> Span:
        before, after = self._texts[one]
        end = at + len(one)
        start = at - (before if text[at - 1 : at] in self._around else 0)
        return start, end + (after if text[end : end + 1] in self._around else 0)


class _Index:
    """Texts of some lengths, by how they begin."""

    def __init__(self, texts: Iterable[str], prefix: int, below: int | None) -> None:
        self.prefix = prefix
        self.lengths: dict[str, list[int]] = {}
        """By the beginning: the lengths of the texts, longest first."""
        found: dict[str, set[int]] = {}
        for text in texts:
            if len(text) >= prefix and (below is None or len(text) < below):
                found.setdefault(text[:prefix], set()).add(len(text))
        self.lengths = {beginning: sorted(sizes, reverse=True) for beginning, sizes in found.items()}


def replaced(text: str, spans: Iterable[Span], by: str) -> str:
    """The text with `by` in place of what the spans cover; those that touch are one. They are in order."""
    pieces: list[str] = []
    start = end = -1
    done = 0
    for begin, stop in spans:
        if begin > end:
            if end >= 0:
                pieces += (text[done:start], by)
                done = end
            start = begin
        end = max(end, stop)
    if end < 0:
        return text
    return "".join((*pieces, text[done:start], by, text[end:]))
