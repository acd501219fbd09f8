"""Splits jq into tokens, and refuses forbidden names, inside and outside the subset."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from unspool.definitions.expressions.errors import ExpressionError, SourceError

LONGEST_SOURCE: Final = 16 * 1024
"""Bytes of an expression (UTF-8)."""

DEEPEST_NESTING: Final = 64
"""Levels of interpolations, brackets and operators in the subset."""

_HOST: Final = "expressions do not see the process they run in"
_MODULES: Final = "there are no modules"

FORBIDDEN: Final = {
    **dict.fromkeys(("env", "$ENV", "halt", "halt_error", "get_search_list", "modulemeta"), _HOST),
    **dict.fromkeys(("input", "inputs", "input_filename", "input_line_number"), _HOST),
    **dict.fromkeys(("debug", "stderr", "$__loc__", "$__prog_args"), _HOST),
    **dict.fromkeys(("import", "include", "module"), _MODULES),
}
"""Names of jq that authors cannot use, and why."""


NOW: Final = "__now"
"""The variable that holds the result of `now`, in seconds since 1970. It is the time of the decision, so
replaying the decision gives the same result."""


class Token(NamedTuple):
    """A token; a string has parts: literal text and the tokens of each interpolation."""

    kind: str
    """One of `operator`, `field`, `name`, `variable`, `format`, `number`, `string`."""
    text: str
    parts: "tuple[str | tuple[Token, ...], ...]" = ()
    offset: int = 0
    """Index of its first character in the source."""


_TOKEN: Final = re.compile(
    r"""
      (?P<space>    [ \t\r\n]+ | \#(?:[^\\\n]|\\(?:.|\n))* )
    | (?P<field>    \.[A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>   (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )
    | (?P<variable> \$[ \t\r\n]*(?:[A-Za-z_][A-Za-z0-9_]*::)*[A-Za-z_][A-Za-z0-9_]* )
    | (?P<name>     (?:[A-Za-z_][A-Za-z0-9_]*::)*[A-Za-z_][A-Za-z0-9_]* )
    | (?P<format>   @[A-Za-z0-9_]+ )
    | (?P<quote>    " )
    | (?P<operator> \?//=? | //= | \|= | [-+*/%]= | == | != | <= | >= | // | \.\. | [].,;:|()[{}?=<>+*/%-] )
    """,
    re.VERBOSE | re.ASCII,
)
_TEXT: Final = re.compile(r'[^"\\]+')
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"'}
_UNICODE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def tokenize(source: str) -> tuple[Token, ...]:
    """Splits an expression into tokens and refuses names that authors cannot use.

    Raises:
        ExpressionError: too long, not jq, or a forbidden name.
    """
    found = scan(source)
    for token in every(found):
        _refuse(token)
    return found


def scan(source: str) -> tuple[Token, ...]:
    """Splits an expression into tokens. Raises `ExpressionError` if it is too long or not jq."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        raise ExpressionError("the expression holds half of a surrogate pair") from None
    if size > LONGEST_SOURCE:
        raise ExpressionError(f"the expression is longer than {LONGEST_SOURCE} bytes")
    found, end = _Scanner(source).tokens(0, inside=0)
    if end < len(source):
        raise SourceError("unexpected ')'", end)
    return found


class _Scanner:
    def __init__(self, source: str) -> None:
        self._source = source

    def tokens(self, start: int, inside: int) -> tuple[tuple[Token, ...], int]:
        """Returns the tokens from `start` to the end, or to the parenthesis that ends an interpolation."""
        if inside > DEEPEST_NESTING:
            raise ExpressionError("strings are nested too deeply")
        found: list[Token] = []
        at, open_parentheses = start, 0
        while at < len(self._source):
            match = _TOKEN.match(self._source, at)
            if match is None or match.lastgroup is None:
                raise SourceError("unexpected character", at)
            kind, text = match.lastgroup, match[0]
            if kind == "quote":
                token, at = self._string(match.end(), inside)
                found.append(token)
                continue
            open_parentheses += (text == "(") - (text == ")")
            if open_parentheses < 0:
                break
            at = match.end()
            if kind != "space":
                squeezed = _squeezed(text) if kind == "variable" else text
                found.append(Token(kind, squeezed, offset=match.start()))
        return _keys_marked(found), at

    def _string(self, start: int, inside: int) -> tuple[Token, int]:
        parts: list[str | tuple[Token, ...]] = [""]
        at = start
        while not self._source.startswith('"', at):
            if match := _TEXT.match(self._source, at):
                _append(parts, match[0])
                at = match.end()
            elif self._source.startswith("\\(", at):
                inner, at = self.tokens(at + 2, inside + 1)
                if not self._source.startswith(")", at):
                    raise ExpressionError("an interpolation is not closed", at)
                parts.append(inner)
                at += 1
            else:
                text, at = self._escape(at)
                _append(parts, text)
        return Token("string", "", tuple(parts)), at + 1

    def _escape(self, at: int) -> tuple[str, int]:
        if simple := _ESCAPES.get(self._source[at + 1 : at + 2]):
            return simple, at + 2
        end, units = at, b""
        while match := _UNICODE.match(self._source, end):
            units += int(match[1], 16).to_bytes(2, "big")
            end = match.end()
        try:
            text = units.decode("utf-16-be")
        except UnicodeDecodeError:
            text = ""
        if not text:
            raise SourceError("bad string", at)
        return text, end


def _squeezed(variable: str) -> str:
    return "$" + variable[1:].strip()


def _append(parts: list[str | tuple[Token, ...]], text: str) -> None:
    last = parts[-1]
    if isinstance(last, str):
        parts[-1] = last + text
    else:
        parts.append(text)


def _keys_marked(tokens: list[Token]) -> tuple[Token, ...]:
    """Marks object keys as `key` tokens: `{env: 1}` and `{env}` name members, not the builtin."""
    enclosing: list[str] = []
    marked: list[Token] = []
    for position, token in enumerate(tokens):
        before = tokens[position - 1].text if position and tokens[position - 1].kind == "operator" else ""
        if token.kind == "name" and enclosing[-1:] == ["{"] and before in ("{", ","):
            token = token._replace(kind="key")  # noqa: PLW2901 -- the same token with its role
        elif token.kind == "operator" and token.text in "([{":
            enclosing.append(token.text)
        elif token.kind == "operator" and token.text in ")]}" and enclosing:
            enclosing.pop()
        marked.append(token)
    return tuple(marked)


def every(tokens: tuple[Token, ...]) -> Iterator[Token]:
    """Yields all tokens, those inside of strings too."""
    for token in tokens:
        yield token
        for part in token.parts:
            if not isinstance(part, str):
                yield from every(part)


def _refuse(token: Token) -> None:
    if token.kind in ("name", "variable") and (reason := FORBIDDEN.get(token.text)):
        raise ExpressionError(f"'{token.text}' is not available: {reason}", token.offset)
    if token.kind in ("name", "variable") and ("::" in token.text or token.text.startswith("$__")):
        raise ExpressionError(f"'{token.text}' is not available: {_MODULES}", token.offset)


def variables(tokens: tuple[Token, ...]) -> frozenset[str]:
    """Returns the names of all variables that occur, bound in the expression or not; `NOW` for `now`."""
    found = {token.text[1:].lstrip() for token in every(tokens) if token.kind == "variable"}
    if any(token.kind == "name" and token.text == "now" for token in every(tokens)):
        found.add(NOW)
    return frozenset(found)
