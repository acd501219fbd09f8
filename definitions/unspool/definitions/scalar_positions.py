"""Positions of single characters of YAML and JSON strings.

The value of a string has no quotes, escapes, folds and indentation. So the string is read again to find the
position of a character in the text.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from unspool.definitions.yaml_events import Position, line_starts, position_of_index

_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+(?:#[^\n]*\s+)*)*")
_BLANKS: Final = re.compile(r"[ \t]*((?:\r\n|\r|\n)[ \t\r\n]*)?")
_BREAK: Final = re.compile(r"\r\n|\r|\n")
_ESCAPED_BREAK: Final = re.compile(r"\\(?:\r\n|\r|\n)[ \t]*")
_SURROGATES: Final = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_HEX: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_ESCAPES: Final = dict(zip("0abtnvfreNLP_", "\0\a\b\t\n\v\f\r\x1b\x85\u2028\u2029\xa0", strict=True))
_HEADER: Final = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n)")
_BLANK_LINES: Final = re.compile(r"(?: *(?:\r\n|\r|\n))*( *)")
_LINE: Final = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_UNICODE_BREAKS: Final = re.compile("[\x85\u2028\u2029]")
"""libyaml counts them as line breaks, editors do not."""


class ScalarPositions:
    """Finds positions in the strings of one text. Each string is read at most once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = line_starts(text)
        self._indexes: dict[int, list[int] | None] = {}
        self._has_unicode_breaks = _UNICODE_BREAKS.search(text) is not None

    def position(self, start: Position, value: str, offset: int) -> Position:
        """Returns the position of a character of a string.

        Args:
            start: where the string begins in the text.
            value: the string.
            offset: the index of the character; the end of the string is allowed.

        Returns:
            The position of the character; `start` if it cannot be found, as in an alias.
        """
        if self._has_unicode_breaks:
            return start
        begin = self._starts[start.line - 1] + start.column - 1
        if begin not in self._indexes:
            self._indexes[begin] = _indexes(self._text, begin, value)
        indexes = self._indexes[begin]
        if not indexes:
            return start
        index = indexes[offset] if offset < len(indexes) else indexes[-1] + 1
        return position_of_index(self._starts, index)


def _indexes(text: str, start: int, value: str) -> list[int] | None:
    """Returns the index in the text of each character of a string; None if the string is not there."""
    properties = _PROPERTIES.match(text, start)
    at = properties.end() if properties else start
    pairs = _block(text, at, value) if text[at : at + 1] in ("|", ">") else _flow(text, at)
    found = list(islice(pairs, len(value)))
    return [index for _, index in found] if "".join(read for read, _ in found) == value else None


def _flow(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Yields the characters of a plain or quoted string and their indexes, and continues after its end."""
    quote = text[at : at + 1]
    at += quote in ("'", '"')
    while at < len(text):
        if text[at] in " \t\r\n" and (blanks := _BLANKS.match(text, at)) is not None:
            yield from _folded(text, blanks)
            at = blanks.end()
        elif quote == '"' and text[at] == "\\":
            read, end = _escape(text, at)
            if read:
                yield read, at
            at = end
        else:
            yield text[at], at
            at += 2 if quote == "'" and text.startswith("''", at) else 1


def _folded(text: str, blanks: re.Match[str]) -> Iterator[tuple[str, int]]:
    if blanks[1] is None:
        yield from ((text[index], index) for index in range(blanks.start(), blanks.end()))
        return
    breaks = [found.start() for found in _BREAK.finditer(text, blanks.start(1), blanks.end(1))]
    if len(breaks) == 1:
        yield " ", blanks.start()
    else:
        yield from (("\n", index) for index in breaks[1:])


def _escape(text: str, at: int) -> tuple[str, int]:
    """Returns the character of an escape sequence, empty for a line break, and the index after it."""
    if (found := _ESCAPED_BREAK.match(text, at)) is not None:
        return "", found.end()
    if (found := _SURROGATES.match(text, at)) is not None:
        return bytes.fromhex(found[1] + found[2]).decode("utf-16-be"), found.end()
    if (found := _HEX.match(text, at)) is not None:
        return chr(int(found[1] or found[2] or found[3], 16)), found.end()
    letter = text[at + 1 : at + 2]
    return _ESCAPES.get(letter, letter), at + 2


def _block(text: str, at: int, value: str) -> Iterator[tuple[str, int]]:
    """Yields the characters of a block scalar (`|`, `>`) and their indexes."""
    header = _HEADER.match(text, at)
    first = _BLANK_LINES.match(text, header.end()) if header else None
    if header is None or first is None:
        return
    content = value.lstrip("\n")
    indent = len(first[1]) - (len(content) - len(content.lstrip(" ")))
    pending: int | None = None
    blank_lines: list[int] = []
    after_blank = False
    for line in _LINE.finditer(text, header.end()):
        if not line[1].strip(" ") and len(line[1]) <= indent:
            blank_lines.append(line.start(2))
            continue
        if line[1][:indent].strip(" "):
            break
        begin = line.start() + indent
        blank = text[begin] in " \t"
        if pending is not None:
            folds = text[at] == ">" and not after_blank and not blank
            if not folds or not blank_lines:
                yield " " if folds else "\n", pending
        yield from (("\n", index) for index in blank_lines)
        yield from ((text[index], index) for index in range(begin, line.end(1)))
        pending, blank_lines, after_blank = line.start(2), [], blank
    if pending is not None:
        yield "\n", pending
    yield from (("\n", index) for index in blank_lines)
