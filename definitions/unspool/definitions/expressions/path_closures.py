"""Compiles path expressions: the part of the compiler for `path(…)`, `del(…)` and assignments."""

from abc import ABC, abstractmethod

from unspool.definitions.expressions import path_code
from unspool.definitions.expressions.code import Code, single
from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.path_code import PathCode
from unspool.definitions.expressions.syntax import (
    Binary,
    Bind,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Iterate,
    Node,
    Optional,
    Path,
    Pipe,
    Slice,
)


class PathClosures(ABC):
    """Compiles an expression to the paths that it leads to."""

    cost: int
    _bound: list[tuple[str, int]]

    @abstractmethod
    def compile(self, node: Node) -> Code:
        """Returns the code of an expression as values."""

    @abstractmethod
    def _new_place(self) -> int:
        """Returns a free place for a variable in the frame."""

    def places_of(self, node: Node) -> PathCode:  # noqa: C901, PLR0911 -- one case per kind of node
        """Returns the code of a path expression. Raises `OutsideSubset`."""
        match node:
            case Identity():
                return path_code.identity
            case Path(base, steps):
                return self._steps(base, steps)
            case Pipe(parts):
                return path_code.piped([self.places_of(part) for part in parts])
            case Comma(parts):
                return path_code.comma([self.places_of(part) for part in parts], self.cost)
            case Binary("//", left, right):
                return path_code.alternative(self.places_of(left), self.places_of(right))
            case If(branches, otherwise):
                code = self.places_of(otherwise)
                for condition, then in reversed(branches):
                    code = path_code.conditional(self.compile(condition), self.places_of(then), code)
                return code
            case Bind(source, name, body):
                return self._bound_path(source, name, body)
            case Optional(body):
                return path_code.attempted(self.places_of(body))
            case Call(name, arguments):
                return self._path_call(name, arguments)
            case _:
                raise OutsideSubset

    def _steps(self, base: Node, steps: tuple[Index | Slice | Iterate, ...]) -> PathCode:
        code = self.places_of(base)
        for step in steps:
            match step:
                case Index(key, optional):
                    code = path_code.indexed(code, self.compile(key), optional=optional)
                case Iterate(optional):
                    code = path_code.iterated(code, self.cost, optional=optional)
                case Slice():
                    raise OutsideSubset
        return code

    def _bound_path(self, source: Node, name: str, body: Node) -> PathCode:
        bound, place = self.compile(source), self._new_place()
        self._bound.append((name, place))
        inner = self.places_of(body)
        self._bound.pop()
        return path_code.bound(bound, place, inner)

    def _path_call(self, name: str, arguments: tuple[Node, ...]) -> PathCode:
        if not arguments and (kinds := path_code.KINDS.get(name)):
            return path_code.of_kinds(*kinds)
        match name, arguments:
            case "empty", ():
                return path_code.nothing
            case "recurse", ():
                return path_code.recursed(self.cost)
            case "first" | "last", ():
                end = single(lambda _value, _frame: 0 if name == "first" else -1)
                return path_code.indexed(path_code.identity, end, optional=False)
            case "select", (condition,):
                return path_code.selected(self.compile(condition))
            case "first", (body,):
                return path_code.first(self.places_of(body))
            case "limit", (count, body):
                return path_code.limited(self.compile(count), self.places_of(body))
            case "getpath", (at,):
                return path_code.at_path(self.compile(at))
            case _:
                raise OutsideSubset
