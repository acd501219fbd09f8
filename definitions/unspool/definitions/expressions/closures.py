"""Compiles the syntax tree to closures.

Work is bounded: the subset has no recursion by the author, so between two outputs of a construct that has
several (`,`, `.[]`, `range`) every closure runs at most once. Each such output is charged with the size of
the whole expression. Operations whose cost depends on the data charge for it themselves.
"""

from collections.abc import Sequence
from typing import Final

from unspool.definitions.expressions import constructs, loops, paths
from unspool.definitions.expressions.builtins import VALUE_FILTERS, VALUE_FUNCTIONS
from unspool.definitions.expressions.code import Code, applied, piped, product, single
from unspool.definitions.expressions.dates import DATE_FORMATS
from unspool.definitions.expressions.errors import EvaluationError, OutsideSubset
from unspool.definitions.expressions.filters import FILTERS
from unspool.definitions.expressions.formats import FORMATS
from unspool.definitions.expressions.frame import Frame, charge_text
from unspool.definitions.expressions.lexer import NOW
from unspool.definitions.expressions.operators import OPERATIONS, negate
from unspool.definitions.expressions.path_closures import PathClosures
from unspool.definitions.expressions.path_code import outputs, recursed
from unspool.definitions.expressions.path_filters import PATH_FILTERS, assigned
from unspool.definitions.expressions.syntax import (
    ASSIGNMENTS,
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
    Iterate,
    Label,
    Literal,
    Negate,
    Node,
    Object,
    Optional,
    Path,
    Pipe,
    Reduce,
    Slice,
    Text,
    Variable,
    children,
)
from unspool.definitions.json_value import Json

_INEXACT_OPERANDS: Final = frozenset({"-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">="})
"""Operators that use only the value of a number, not how it was written."""


def size(node: Node) -> int:
    """Returns the number of nodes of a tree."""
    return 1 + sum(map(size, children(node)))


class Closures(PathClosures):
    """Compiles one expression; `places` then says where its variables are."""

    def __init__(self, node: Node) -> None:
        self.places: dict[str, int] = {}
        """The place in the frame of each variable that is read and not bound inside."""
        self.frame_size = 1
        self._bound: list[tuple[str, int]] = []
        self.cost = size(node) // 2 + 1
        self.code = self.compile(node)

    def compile(self, node: Node) -> Code:  # noqa: C901, PLR0911, PLR0912 -- one case per kind of node
        """Returns the code of a part of the expression.

        Raises:
            OutsideSubset: the part is outside the subset.
        """
        match node:
            case Identity():
                return single(lambda value, _: value)
            case Literal(value, exact):
                return _constant(value, exact)
            case Variable(name):
                return self._variable(name)
            case Path(base, steps):
                return self._path(base, steps)
            case Array(body):
                return _array(None if body is None else self.compile(body))
            case Object(entries):
                return self._object(entries)
            case Text(form, parts):
                return self._text(form, parts)
            case Pipe(parts):
                return piped([self.compile(part) for part in parts])
            case Comma(parts):
                return constructs.comma([self.compile(part) for part in parts], self.cost)
            case Binary(operator, left, right):
                return self._binary(operator, left, right)
            case Negate(body):
                inner = self.compile(body)
                return piped((inner, single(lambda value, _: negate(value))))
            case If(branches, otherwise):
                pairs = [(self.compile(condition), self.compile(then)) for condition, then in branches]
                return constructs.conditional(pairs, self.compile(otherwise))
            case Bind(source, name, body):
                return self._bind(source, name, body)
            case Optional(body):
                return constructs.attempted(self.compile(body))
            case Attempt(body, handler):
                return constructs.attempted(self.compile(body), self.compile(handler))
            case Reduce() | Foreach():
                return self._loop(node)
            case Label(name, body):
                place, (inner,) = self._with_variable(name, body)
                return loops.labelled(place, inner)
            case Break(name):
                return loops.broken(self._place_of_label(name))
            case Call(name, arguments):
                return self._call(name, arguments)
            case Define():
                raise AssertionError("functions were replaced by their bodies")

    # -- variables

    def _variable(self, name: str) -> Code:
        place = next((place for bound, place in reversed(self._bound) if bound == name), None)
        if place is None:
            place = self.places.get(name) or self._new_place()
            self.places[name] = place
        return single(lambda _, frame: frame[place])

    def _new_place(self) -> int:
        self.frame_size += 1
        return self.frame_size - 1

    def _with_variable(self, name: str, *bodies: Node) -> tuple[int, list[Code]]:
        """Returns the place of a variable, and the code of the parts in which it exists."""
        place = self._new_place()
        self._bound.append((name, place))
        codes = [self.compile(body) for body in bodies]
        self._bound.pop()
        return place, codes

    def _bind(self, source: Node, name: str, body: Node) -> Code:
        bound = self.compile(source)
        place, (inner,) = self._with_variable(name, body)
        return constructs.bound(bound, place, inner)

    def _place_of_label(self, name: str) -> int:
        place = next((place for bound, place in reversed(self._bound) if bound == name), None)
        if place is None:
            raise OutsideSubset
        return place

    def _loop(self, loop: Reduce | Foreach) -> Code:
        source, start = self.compile(loop.source), self.compile(loop.start)
        if isinstance(loop, Reduce):
            place, (update,) = self._with_variable(loop.name, loop.update)
            return loops.reduced(self.cost, place, source, start, update)
        place, (update, extract) = self._with_variable(loop.name, loop.update, loop.extract)
        return loops.iterated(self.cost, place, source, start, update, extract)

    # -- constructs

    def _path(self, base: Node, steps: tuple[Index | Slice | Iterate, ...]) -> Code:
        names = paths.constant_names(steps)
        start = None if isinstance(base, Identity) else self.compile(base)
        if names and (start is None or start.one is not None):
            code = single(paths.chain(None if start is None else start.one, names))
            steps = steps[len(names) :]
        else:
            code = start or single(lambda value, _: value)
        for step in steps:
            code = self._step(code, step)
        return code

    def _step(self, base: Code, step: Index | Slice | Iterate) -> Code:
        match step:
            case Index(key, optional):
                return paths.indexed(base, self.compile(key), optional=optional)
            case Slice(start, end, optional):
                bounds = [paths.NOTHING if bound is None else self.compile(bound) for bound in (start, end)]
                return paths.sliced(base, *bounds, optional=optional)
            case Iterate(optional):
                return paths.iterated(base, self.cost, optional=optional)

    def _object(self, entries: tuple[tuple[Node, Node], ...]) -> Code:
        names = [key.value for key, _ in entries if isinstance(key, Literal)]
        if len(names) == len(entries):
            if not all(isinstance(name, str) for name in names):
                raise OutsideSubset
            values = [self.compile(value) for _, value in entries]
            return product(values, lambda chosen, _: dict(zip(names, chosen, strict=True)))
        if any(not isinstance(key, Literal) and _is_constant(key) for key, _ in entries):
            raise OutsideSubset  # jq computes it and, unless it is a string, refuses to compile
        pairs = [self.compile(part) for entry in entries for part in entry]
        return product(pairs, _object_of_pairs)

    def _text(self, form: str, parts: tuple[str | Node, ...]) -> Code:
        written = FORMATS.get(form)
        if written is None:
            raise OutsideSubset
        texts = [part for part in parts if isinstance(part, str)]
        inner = [self.compile(part) for part in parts if not isinstance(part, str)]
        is_text = [isinstance(part, str) for part in parts]

        def build(chosen: Sequence[Json], frame: Frame) -> str:
            outputs, literals = iter(reversed(chosen)), iter(texts)
            pieces, length = [], 0
            for literal in is_text:
                pieces.append(next(literals) if literal else written(next(outputs), frame))
                length += len(pieces[-1])
                charge_text(frame, length)
            return "".join(pieces)

        # The last interpolation varies slowest.
        return product(inner[::-1], build)

    def _binary(self, operator: str, left: Node, right: Node) -> Code:
        if operator in ("and", "or"):
            return constructs.logical(self.compile(left), self.compile(right), decided=operator == "or")
        if operator in ASSIGNMENTS:
            return assigned(operator, self.cost, self.places_of(left), self.compile(right))
        if operator == "//":
            return constructs.alternative(self.compile(left), self.compile(right))
        free = operator in _INEXACT_OPERANDS
        outer, inner = (
            _constant(side.value, exact=True) if free and isinstance(side, Literal) else self.compile(side)
            for side in (right, left)
        )
        return applied(OPERATIONS[operator], outer, inner)

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Code:
        if name == "now" and not arguments:
            return self._variable(NOW)
        if name == "recurse" and not arguments:
            return outputs(recursed(self.cost))
        if len(arguments) == 1 and (of_places := PATH_FILTERS.get(name)):
            return of_places(self.cost, self.places_of(arguments[0]))
        if (form := FORMATS.get(name[1:])) is not None and name[0] == "@" and not arguments:
            return single(form)
        if not arguments and (plain := VALUE_FILTERS.get(name)):
            return single(plain)
        if name in DATE_FORMATS:
            return _dated(name, arguments)
        codes = [self.compile(argument) for argument in arguments]
        if len(codes) == 1 and (function := VALUE_FUNCTIONS.get(name)):
            return applied(function, codes[0], single(lambda value, _: value))
        build = FILTERS.get((name, len(codes)))
        if build is None:
            raise OutsideSubset
        return build(self.cost, *codes)


def _dated(name: str, arguments: tuple[Node, ...]) -> Code:
    match arguments:
        case (Literal(str() as pattern),):
            return single(DATE_FORMATS[name](pattern))
        case _:
            raise OutsideSubset


def _constant(value: Json, exact: bool) -> Code:
    if not exact:
        raise OutsideSubset
    return single(lambda _value, _frame: value)


def _array(body: Code | None) -> Code:
    if body is None:
        return single(lambda _value, _frame: [])
    if body.one is not None:
        only = body.one
        return single(lambda value, frame: [only(value, frame)])
    many = body.many
    return single(lambda value, frame: list(many(value, frame)))


def _is_constant(node: Node) -> bool:
    if isinstance(node, (Identity, Variable, Call)):
        return False
    return all(map(_is_constant, children(node)))


def _object_of_pairs(chosen: Sequence[Json], _: Frame) -> Json:
    made = {}
    for at in range(0, len(chosen), 2):
        if not isinstance(chosen[at], str):
            raise EvaluationError("object keys must be strings")
        made[chosen[at]] = chosen[at + 1]
    return made
