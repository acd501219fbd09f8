"""Reads the tokens of an expression one by one."""

from collections.abc import Callable

from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.lexer import DEEPEST_NESTING, Token
from unspool.definitions.expressions.syntax import Node


class TokenReader:
    """A position in the tokens of an expression. What does not match is outside the subset."""

    def __init__(self, tokens: tuple[Token, ...], depth: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = depth

    def _sees(self, text: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.text == text and token.kind in ("operator", "name")

    def _accept(self, text: str) -> bool:
        seen = self._sees(text)
        self._at += seen
        return seen

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise OutsideSubset

    def _take(self) -> Token:
        if self._at >= len(self._tokens):
            raise OutsideSubset
        self._at += 1
        return self._tokens[self._at - 1]

    def _take_kind(self, kind: str) -> Token | None:
        if self._at < len(self._tokens) and self._tokens[self._at].kind == kind:
            return self._take()
        return None

    def _nested(self, rule: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise OutsideSubset
        node = rule()
        self._depth -= 1
        return node
