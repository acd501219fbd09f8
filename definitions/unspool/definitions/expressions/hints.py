"""Suggestions in messages about expressions that do not compile."""

import re
from collections.abc import Iterable
from typing import Final

from unspool.definitions.expressions.lexer import Token
from unspool.definitions.spelling import did_you_mean

_UNDEFINED: Final = re.compile(r"\b([A-Za-z_]\w*)/0 is not defined", re.ASCII)


def undefined_variable(name: str, known: Iterable[str]) -> str:
    """Returns the message about a variable that does not exist, with the known one nearest to it."""
    return f"${name} is not defined here{did_you_mean(f'${name}', [f'${other}' for other in known])}"


def hyphenated_key(tokens: tuple[Token, ...], message: str) -> str:
    """Returns the end of a message about an undefined function `c` in `.a.b-c`: probably a key `"b-c"`."""
    undefined = _UNDEFINED.search(message)
    if undefined is None:
        return ""
    at = 0
    while at < len(tokens):
        start = at
        while at < len(tokens) and (tokens[at].kind == "field" or (at == start and _is_variable(tokens[at]))):
            at += 1
        end = at
        while tokens[end : end + 1] and tokens[end].text == "-" and _is_name(tokens[end + 1 : end + 2]):
            end += 2
        if tokens[at - 1].kind == "field" and undefined[1] in [token.text for token in tokens[at + 1 : end]]:
            base = "".join(token.text for token in tokens[start : at - 1]) or "."
            key = "".join(token.text for token in tokens[at - 1 : end]).removeprefix(".")
            return f', did you mean {base}["{key}"]?'
        at = max(end, start + 1)
    return ""


def _is_variable(token: Token) -> bool:
    return token.kind == "variable"


def _is_name(tokens: tuple[Token, ...]) -> bool:
    return bool(tokens) and tokens[0].kind == "name"
