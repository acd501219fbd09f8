"""Finds what is wrong with the source of an expression, and where."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from unspool.definitions.expressions.compiler import closures_of
from unspool.definitions.expressions.errors import ExpressionError, SourceError
from unspool.definitions.expressions.expression import JqRunner
from unspool.definitions.expressions.hints import hyphenated_key, undefined_variable
from unspool.definitions.expressions.lexer import NOW, Token, tokenize
from unspool.definitions.expressions.template import split

MAX_UNKNOWN: Final = 20
"""Unknown variables that are reported for one expression."""

_PLACE: Final = re.compile(r" at (?:line (\d+), )?column (\d+)$")
"""The place in a message of jq."""
_UNDEFINED_VARIABLE: Final = re.compile(r"\$(\w+) is not defined", re.ASCII)
_OPENING: Final = frozenset({"(", "[", "{", "if"})
_CLOSING: Final = frozenset({")", "]", "}", "end"})


class SourceProblem(NamedTuple):
    """A problem of an expression, and its offset in the source in characters."""

    message: str
    offset: int


def source_problems(
    source: str, known: frozenset[str] | None = None, jq: JqRunner | None = None
) -> tuple[SourceProblem, ...]:
    """Returns why an expression does not compile: the first error, or all unknown variables.

    Args:
        source: the expression, with or without `${ }`.
        known: the variables that exist, without `$`; None accepts any.
        jq: checks expressions outside the subset; None accepts them unchecked.
    """
    parts = split(source)
    wrapped = len(parts) == 1 and parts[0].expression
    inner = parts[0].source if wrapped else source
    base = (source.index("${") + 2 if wrapped else 0) + len(inner) - len(inner.lstrip())
    return tuple(
        SourceProblem(message, base + offset) for message, offset in _problems(inner.strip(), known, jq)
    )


def _problems(source: str, known: frozenset[str] | None, jq: JqRunner | None) -> list[SourceProblem]:
    try:
        tokens = tokenize(source)
        closures = closures_of(source)
    except SourceError as error:
        return [SourceProblem(error.reason, error.offset)]
    except ExpressionError as error:
        return [SourceProblem(str(error), error.offset)]
    if closures is None:
        return [] if jq is None else _problems_in_jq(source, tokens, known, jq)
    if known is None:
        return []
    offsets = _first_uses(tokens, closures.variables - known - {NOW})
    return [SourceProblem(undefined_variable(name, known), offset) for name, offset in offsets.items()]


def _problems_in_jq(
    source: str, tokens: tuple[Token, ...], known: frozenset[str] | None, jq: JqRunner
) -> list[SourceProblem]:
    """Asks jq until all unknown variables are found; jq names only the first one."""
    found: list[SourceProblem] = []
    bound = known
    while len(found) < MAX_UNKNOWN and (wrong := jq.check(source, bound)) is not None:
        message, offset = _PLACE.sub("", wrong), _offset(source, wrong)
        undefined = _UNDEFINED_VARIABLE.match(wrong)
        if known is None or bound is None or undefined is None or undefined[1] in bound:
            found.append(SourceProblem(message + hyphenated_key(tokens, wrong), offset))
            break
        found.append(SourceProblem(undefined_variable(undefined[1], known), offset))
        bound = bound | {undefined[1]}
    return found


def _offset(source: str, message: str) -> int:
    """Returns the offset that a message of jq names. jq counts columns in bytes."""
    place = _PLACE.search(message)
    if place is None or place[1] is None:
        return 0
    lines = source.split("\n")
    before = lines[: int(place[1]) - 1]
    line = lines[len(before)] if len(before) < len(lines) else ""
    column = len(line.encode()[: int(place[2]) - 1].decode(errors="ignore"))
    return min(sum(len(one) + 1 for one in before) + column, len(source))


def _first_uses(tokens: tuple[Token, ...], names: frozenset[str]) -> dict[str, int]:
    """Returns the offset of the first free use of each variable, up to `MAX_UNKNOWN` variables."""
    found: dict[str, int] = {}
    for token in _free_variables(tokens, frozenset()):
        if token.text[1:] in names:
            found.setdefault(token.text[1:], token.offset)
        if len(found) >= MAX_UNKNOWN:
            break
    return found


def _free_variables(tokens: tuple[Token, ...], bound: frozenset[str]) -> Iterator[Token]:
    """Yields the variables that are used outside of their `as $name | …`."""
    scopes = [("", bound)]
    previous = ""
    for token in tokens:
        opener, bound = scopes[-1]
        if token.kind == "variable" and previous == "as":
            scopes[-1] = (opener, bound | {token.text})
        elif token.kind == "variable" and token.text not in bound:
            yield token
        elif token.kind in ("operator", "name"):
            _enter_or_leave(token.text, scopes)
        for part in token.parts:
            if not isinstance(part, str):
                yield from _free_variables(part, bound)
        previous = token.text


def _enter_or_leave(text: str, scopes: list[tuple[str, frozenset[str]]]) -> None:
    opener, bound = scopes[-1]
    if text in _OPENING:
        scopes.append((text, bound))
    elif len(scopes) > 1 and text in _CLOSING:
        scopes.pop()
    elif len(scopes) > 1 and (text in {"then", "elif", "else"} or (text == "," and opener == "{")):
        scopes[-1] = (opener, scopes[-2][1])
