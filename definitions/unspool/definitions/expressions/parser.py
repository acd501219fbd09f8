"""Parses tokens to the syntax tree of the subset; real jq runs everything else.

The grammar is that of jq 1.8: `|` binds weakest, then `,`, `//` (to the right), the assignments
(which do not chain), `or`, `and`, the comparisons (which do not chain), `+ -`, `* / %`, and a minus sign.
"""

from collections.abc import Callable
from typing import Final

from unspool.definitions.expressions.control_parser import CONTROL, ControlParser, bound
from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.functions import expanded
from unspool.definitions.expressions.json_text import to_text
from unspool.definitions.expressions.lexer import Token
from unspool.definitions.expressions.numbers import LARGEST
from unspool.definitions.expressions.syntax import (
    ASSIGNMENTS,
    Array,
    Binary,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Negate,
    Node,
    Object,
    Optional,
    Path,
    Pipe,
    Slice,
    Text,
    Variable,
)
from unspool.definitions.json_value import Json

_LEVELS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"//"}),
    ASSIGNMENTS,
    frozenset({"or"}),
    frozenset({"and"}),
    frozenset({"==", "!=", "<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_ALTERNATIVE, _ASSIGNMENT, _COMPARISON, _TERM = 0, 1, 4, len(_LEVELS)
_CONSTANTS: Final[dict[str, Json]] = {"null": None, "true": True, "false": False}
_KEYWORDS: Final = frozenset(
    ("as", "and", "or", "if", "then", "elif", "else", "end", "def", "catch", "label")
)
_LONGEST_CHAIN: Final = 100
"""The most operators, steps or pipes in a row: each is a Python frame when evaluated."""


def parse(tokens: tuple[Token, ...]) -> Node:
    """Returns the tree of an expression.

    Raises:
        OutsideSubset: it is outside the subset, or not jq.
    """
    return expanded(_Parser(tokens, 0).everything())


class _Parser(ControlParser):
    def __init__(self, tokens: tuple[Token, ...], depth: int) -> None:
        super().__init__(tokens, depth)
        self._term_from = 0

    def everything(self) -> Node:
        node = self._pipe()
        if self._at < len(self._tokens):
            raise OutsideSubset
        return node

    # -- operators

    def _pipe(self) -> Node:
        return self._row("|", self._comma, Pipe)

    def _comma(self) -> Node:
        return self._row(",", self._item, Comma)

    def _item(self) -> Node:
        """Parses an expression without commas; all that follows `as`, `label` and `def` is the body."""
        if self._accept("def"):
            return self._nested(self._definition)
        if self._accept("label"):
            return self._nested(self._label)
        start = self._at
        node = self._operators(_ALTERNATIVE)
        if not self._accept("as"):
            return node
        if self._term_from != start:  # versions of jq differ on `1 + 2 as $x | …`
            raise OutsideSubset
        pattern = self._pattern()
        self._expect("|")
        return bound(pattern, node, self._nested(self._pipe))

    def _row(self, separator: str, item: Callable[[], Node], kind: type[Pipe] | type[Comma]) -> Node:
        parts = [item()]
        while self._accept(separator):
            parts.append(item())
        if kind is Pipe and len(parts) > _LONGEST_CHAIN:
            raise OutsideSubset
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _operators(self, level: int) -> Node:
        if level == _TERM:
            return self._signed()
        left = self._operators(level + 1)
        for _ in range(_LONGEST_CHAIN):
            operator = next((text for text in _LEVELS[level] if self._sees(text)), None)
            if operator is None:
                return left
            self._take()
            if level == _ALTERNATIVE:
                return Binary(operator, left, self._nested(lambda: self._operators(level)))
            left = Binary(operator, left, self._operators(level + 1))
            if level in (_ASSIGNMENT, _COMPARISON) and any(self._sees(text) for text in _LEVELS[level]):
                raise OutsideSubset
        raise OutsideSubset

    def _signed(self) -> Node:
        return Negate(self._term()) if self._accept("-") else self._term()

    # -- terms

    def _term(self) -> Node:
        start = self._at
        node = self._postfix(self._primary())
        self._term_from = start
        return node

    def _primary(self) -> Node:
        token = self._take()
        match token.kind:
            case "number":
                return _number(token.text)
            case "string":
                return self._text("text", token)
            case "format":
                string = self._take_kind("string")
                return Call(token.text, ()) if string is None else self._text(token.text[1:], string)
            case "variable":
                return Variable(token.text[1:])
            case "field":
                return self._stepped(Identity(), [self._optional(Index(Literal(token.text[1:])))])
            case "name":
                return self._named(token.text)
            case _:
                return self._symbol(token.text)

    def _symbol(self, symbol: str) -> Node:
        match symbol:
            case ".":
                string = self._take_kind("string")
                if string is None:
                    return Identity()
                return self._stepped(Identity(), [self._optional(Index(self._text("text", string)))])
            case "..":
                return Call("recurse", ())
            case "(":
                return self._closed(")")
            case "[":
                return Array(None) if self._accept("]") else Array(self._closed("]"))
            case "{":
                return self._object()
            case _:
                raise OutsideSubset

    def _closed(self, bracket: str) -> Node:
        node = self._nested(self._pipe)
        self._expect(bracket)
        return node

    def _named(self, name: str) -> Node:
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name])
        if name == "if":
            return self._nested(self._condition)
        if name in CONTROL:
            return self._nested(lambda: self._control(name))
        if name in _KEYWORDS:
            raise OutsideSubset
        arguments: list[Node] = []
        if self._accept("("):
            arguments.append(self._nested(self._pipe))
            while self._accept(";"):
                arguments.append(self._nested(self._pipe))
            self._expect(")")
        return Call(name, tuple(arguments))

    def _condition(self) -> Node:
        branches: list[tuple[Node, Node]] = []
        while not branches or self._accept("elif"):
            condition = self._pipe()
            self._expect("then")
            branches.append((condition, self._pipe()))
        otherwise = self._pipe() if self._accept("else") else Identity()
        self._expect("end")
        return If(tuple(branches), otherwise)

    def _text(self, form: str, token: Token) -> Node:
        parts = tuple(
            part if isinstance(part, str) else _Parser(part, self._depth + 1).everything()
            for part in token.parts
        )
        if all(isinstance(part, str) for part in parts):
            return Literal("".join(part for part in parts if isinstance(part, str)))
        return Text(form, tuple(part for part in parts if part != ""))

    # -- paths

    def _postfix(self, node: Node) -> Node:
        steps: list[Index | Slice | Iterate] = []
        while True:
            if self._accept("?"):
                node, steps = Optional(self._stepped(node, steps)), []
            elif (step := self._step()) is not None:
                steps.append(self._optional(step))
            else:
                return self._stepped(node, steps)

    def _stepped(self, node: Node, steps: list[Index | Slice | Iterate]) -> Node:
        if not steps:
            return node
        base, before = (node.base, node.steps) if isinstance(node, Path) else (node, ())
        if len(before) + len(steps) > _LONGEST_CHAIN:
            raise OutsideSubset
        return Path(base, (*before, *steps))

    def _step(self) -> Index | Slice | Iterate | None:
        if field := self._take_kind("field"):
            return Index(Literal(field.text[1:]))
        if self._accept("."):
            string = self._take_kind("string")
            if string is not None:
                return Index(self._text("text", string))
            self._expect("[")
            return self._bracket()
        return self._bracket() if self._accept("[") else None

    def _bracket(self) -> Index | Slice | Iterate:
        if self._accept("]"):
            return Iterate()
        start = None if self._sees(":") else self._nested(self._pipe)
        if start is not None and self._accept("]"):
            return Index(start)
        self._expect(":")
        end = None if self._sees("]") else self._nested(self._pipe)
        self._expect("]")
        if start is None and end is None:
            raise OutsideSubset
        return Slice(start, end)

    def _optional(self, step: Index | Slice | Iterate) -> Index | Slice | Iterate:
        if not self._accept("?"):
            return step
        match step:
            case Index(key):
                return Index(key, optional=True)
            case Slice(start, end):
                return Slice(start, end, optional=True)
            case Iterate():
                return Iterate(optional=True)

    # -- objects

    def _object(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not entries or self._accept(","):
            if not entries and self._accept("}"):
                return Object(())
            entries.append(self._entry())
        self._expect("}")
        return Object(tuple(entries))

    def _entry(self) -> tuple[Node, Node]:
        token = self._take()
        key, value = self._key(token)
        if self._accept(":"):
            return key, self._nested(self._value)
        if value is None:
            raise OutsideSubset
        return key, value

    def _key(self, token: Token) -> tuple[Node, Node | None]:
        """Parses a key. Returns it, and the value that it has if none is written."""
        match token.kind:
            case "key":
                name: Node = Literal(token.text)
                return name, Path(Identity(), (Index(name),))
            case "variable":
                name = Variable(token.text[1:])
                return (name if self._sees(":") else Literal(token.text[1:])), name
            case "string":
                name = self._text("text", token)
                return name, Path(Identity(), (Index(name),))
            case "operator" if token.text == "(":
                return self._closed(")"), None
            case _:
                raise OutsideSubset

    def _value(self) -> Node:
        return self._row("|", lambda: self._operators(_ALTERNATIVE), Pipe)


def _number(text: str) -> Literal:
    """Parses a number. Integers stay exact in 64 bits; real jq runs numbers that it reads unlike Python."""
    if text.isdecimal():
        whole = int(text) if len(text) <= 20 else LARGEST + 1
        if whole > LARGEST:
            raise OutsideSubset
        return Literal(whole, exact=str(whole) == text)
    value = float(text)
    digits = len(text.lower().partition("e")[0].replace(".", "").strip("0"))
    if digits > 15 or (value and not 1e-300 < value < 1e300):
        raise OutsideSubset
    return Literal(value, exact=to_text(value) == text)
