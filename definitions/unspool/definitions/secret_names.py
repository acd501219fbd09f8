"""Finds the secrets that an expression reads. What a string or a comment says of one is no read."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from unspool.definitions.expressions import ExpressionError
from unspool.definitions.expressions.lexer import Token, scan

_SECRETS: Final = "$secrets"


class SecretRead(NamedTuple):
    """One `$secrets` in an expression."""

    name: str | None
    """The secret that it reads; None if the name is computed, or if it reads all."""
    offset: int


def secrets_read(source: str) -> list[SecretRead]:
    """Returns each `$secrets` of an expression, in order; none if its syntax is wrong."""
    if "secrets" not in source:
        return []
    try:
        return list(_reads(scan(source)))
    except ExpressionError:
        return []  # which another check reports


def _reads(tokens: tuple[Token, ...]) -> Iterator[SecretRead]:
    for at, token in enumerate(tokens):
        if token.kind == "variable" and token.text == _SECRETS:
            yield SecretRead(_name(tokens[at + 1 : at + 5]), token.offset)
        for part in token.parts:
            if not isinstance(part, str):
                yield from _reads(part)


def _name(after: tuple[Token, ...]) -> str | None:
    """Returns the name in `.name`, `."name"`, `["name"]` or `.["name"]`; None without one."""
    if after[:1] and after[0].kind == "field":
        return after[0].text[1:]
    if after[:1] and _is(after[0], "."):
        after = after[1:]
        if after[:1] and after[0].kind == "string":
            return _literal(after[0])
    if len(after) > 2 and _is(after[0], "[") and _is(after[2], "]"):
        return _literal(after[1])
    return None


def _is(token: Token, operator: str) -> bool:
    return token.kind == "operator" and token.text == operator


def _literal(token: Token) -> str | None:
    """Returns the text of a string without interpolations."""
    only = token.parts[0] if token.kind == "string" and len(token.parts) == 1 else None
    return only if isinstance(only, str) else None
