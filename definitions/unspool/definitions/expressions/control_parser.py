"""Parses `reduce`, `foreach`, `try`, `label`, `break`, `def` and the patterns after `as`."""

from abc import ABC, abstractmethod
from typing import Final

from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.syntax import (
    Array,
    Attempt,
    Binary,
    Bind,
    Break,
    Call,
    Comma,
    Define,
    Foreach,
    Identity,
    If,
    Index,
    Label,
    Literal,
    Negate,
    Node,
    Object,
    Optional,
    Path,
    Pipe,
    Reduce,
    Text,
    Variable,
    children,
)
from unspool.definitions.expressions.token_reader import TokenReader

CONTROL: Final = frozenset({"reduce", "foreach", "try", "break"})
"""Names that start a term of their own."""

Pattern = str | tuple[tuple[Node, "Pattern"], ...]
"""What follows `as`: the name of a variable, or keys and the patterns of their values."""


class ControlParser(TokenReader, ABC):
    """The part of the parser that knows loops, errors and functions."""

    @abstractmethod
    def _pipe(self) -> Node: ...

    @abstractmethod
    def _term(self) -> Node: ...

    def _control(self, name: str) -> Node:
        if name == "try":
            return self._attempt()
        if name == "break":
            return Break(self._name_of_label())
        return self._loop(name)

    # -- loops and errors

    def _loop(self, kind: str) -> Node:
        source = self._term()
        self._expect("as")
        pattern = self._pattern()
        name = pattern if isinstance(pattern, str) else f"#{self._at}"
        parts = self._parts("(", ")")
        start, *bodies = parts
        bodies = [bound(pattern, Variable(name), body) if name != pattern else body for body in bodies]
        if kind == "reduce" and len(parts) == 2:
            return Reduce(source, name, start, bodies[0])
        if kind == "foreach" and len(parts) in (2, 3):
            return Foreach(source, name, start, bodies[0], bodies[1] if len(bodies) > 1 else Identity())
        raise OutsideSubset

    def _parts(self, opening: str, closing: str) -> list[Node]:
        self._expect(opening)
        parts = [self._nested(self._pipe)]
        while self._accept(";"):
            parts.append(self._nested(self._pipe))
        self._expect(closing)
        return parts

    def _attempt(self) -> Node:
        body = self._term()
        if not self._accept("catch"):
            return Optional(body)
        handler = self._term()
        if _reads_input(handler):  # messages differ from those of jq
            raise OutsideSubset
        return Attempt(body, handler)

    def _label(self) -> Node:
        name = self._name_of_label()
        self._expect("|")
        return Label(name, self._pipe())

    def _name_of_label(self) -> str:
        token = self._take_kind("variable")
        if token is None:
            raise OutsideSubset
        return f"*{token.text[1:]}"

    # -- functions

    def _definition(self) -> Node:
        name = self._take_kind("name")
        parameters: list[str] = []
        if self._accept("("):
            while not parameters or self._accept(";"):
                token = self._take_kind("name") or self._take_kind("variable")
                if token is None:
                    raise OutsideSubset
                parameters.append(token.text)
            self._expect(")")
        self._expect(":")
        body = self._pipe()
        self._expect(";")
        if name is None:
            raise OutsideSubset
        return Define(name.text, tuple(parameters), body, self._pipe())

    # -- patterns

    def _pattern(self) -> Pattern:
        if token := self._take_kind("variable"):
            return token.text[1:]
        parts: list[tuple[Node, Pattern]] = []
        if self._accept("["):
            while not parts or self._accept(","):
                parts.append((Literal(len(parts)), self._pattern()))
            self._expect("]")
        else:
            self._expect("{")
            while not parts or self._accept(","):
                parts += self._member()
            self._expect("}")
        names = _names(tuple(parts))
        if len(set(names)) < len(names):
            raise OutsideSubset
        return tuple(parts)

    def _member(self) -> list[tuple[Node, Pattern]]:
        """Parses a key with its pattern; `$name` is the key and a variable, `$name: pattern` both."""
        token = self._take()
        if token.kind == "variable":
            name = token.text[1:]
            parts: list[tuple[Node, Pattern]] = [(Literal(name), name)]
            return [*parts, (Literal(name), self._pattern())] if self._accept(":") else parts
        constant = token.kind == "string" and all(isinstance(part, str) for part in token.parts)
        if not constant and token.kind != "key":
            raise OutsideSubset
        key = "".join(map(str, token.parts)) if constant else token.text
        self._expect(":")
        return [(Literal(key), self._pattern())]


def _names(pattern: Pattern) -> list[str]:
    if isinstance(pattern, str):
        return [pattern]
    return [name for _, part in pattern for name in _names(part)]


def bound(pattern: Pattern, source: Node, body: Node, depth: int = 0) -> Node:
    """Returns the tree of `source as pattern | body`, with a variable for each value inside the pattern."""
    if isinstance(pattern, str):
        return Bind(source, pattern, body)
    whole = f"#{len(_names(pattern))}.{depth}"
    for key, part in reversed(pattern):
        body = bound(part, Path(Variable(whole), (Index(key),)), body, depth + 1)
    return Bind(source, whole, body)


def _reads_input(node: Node) -> bool:
    match node:
        case Path(base):
            return _reads_input(base) or any(map(_reads_input, children(node)[1:]))
        case Pipe(parts):
            return _reads_input(parts[0])
        case Call("empty", ()):
            return False
        case Literal() | Variable() | Array() | Object() | Text() | Comma() | If() | Negate():
            return any(map(_reads_input, children(node)))
        case Binary("+" | "-" | "*" | "/" | "%" | "//"):
            return any(map(_reads_input, children(node)))
        case Call("error", (message,)):
            return _reads_input(message)
        case _:
            return True
