"""Functions of the author (`def`): calls are replaced by the bodies of the functions.

So the compiler sees no functions, and the bounds of its closures hold. Recursive functions are outside the
subset, as are programs that become too large.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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

_MOST_NODES: Final = 4000
_DEEPEST: Final = 100
"""Levels of the tree: each is a few Python frames when evaluated."""


@dataclass(frozen=True, slots=True)
class _Context:
    """The functions and variables that are known at a place."""

    functions: Mapping[tuple[str, int], "_Function | None"]
    """By name and number of parameters; None for the function whose body this is."""
    names: Mapping[str, str]
    """The unique names of the variables and labels that are bound."""


@dataclass(frozen=True, slots=True)
class _Function:
    parameters: tuple[str, ...]
    body: Node
    context: _Context


def expanded(node: Node) -> Node:
    """Returns the program without functions.

    Raises:
        OutsideSubset: a function is recursive, or the program becomes too large.
    """
    return _Expansion().expand(node, _Context({}, {}), 0) if _defines(node) else node


def _defines(node: Node) -> bool:
    return isinstance(node, Define) or any(map(_defines, children(node)))


class _Expansion:
    def __init__(self) -> None:
        self._nodes = 0
        self._variables = 0

    def expand(self, node: Node, context: _Context, depth: int) -> Node:  # noqa: C901, PLR0911 -- one case per kind
        self._nodes += 1
        if self._nodes > _MOST_NODES or depth > _DEEPEST:
            raise OutsideSubset

        def inside(inner: Node) -> Node:
            return self.expand(inner, context, depth + 1)

        match node:
            case Variable(name):
                return Variable(context.names.get(name, name))
            case Break(name):
                return Break(context.names.get(name, name))
            case Define():
                return self._defined(node, context, depth)
            case Call(name, arguments) if (name, len(arguments)) in context.functions:
                return self._called(name, arguments, context, depth)
            case Bind(source, name, body):
                fresh, within = self._variable(context, name)
                return Bind(inside(source), fresh, self.expand(body, within, depth + 1))
            case Label(name, body):
                fresh, within = self._variable(context, name)
                return Label(fresh, self.expand(body, within, depth + 1))
            case Reduce(source, name, start, update):
                fresh, within = self._variable(context, name)
                return Reduce(inside(source), fresh, inside(start), self.expand(update, within, depth + 1))
            case Foreach(source, name, start, update, extract):
                fresh, within = self._variable(context, name)
                bodies = [self.expand(body, within, depth + 1) for body in (update, extract)]
                return Foreach(inside(source), fresh, inside(start), *bodies)
            case _:
                return _rebuilt(node, inside)

    def _variable(self, context: _Context, name: str) -> tuple[str, _Context]:
        """Returns a unique name for a variable, so that variables with the same name do not mix."""
        self._variables += 1
        fresh = f"{name}#{self._variables}"
        return fresh, replace(context, names={**context.names, name: fresh})

    def _defined(self, node: Define, context: _Context, depth: int) -> Node:
        key = (node.name, len(node.parameters))
        if key == ("recurse", 0):  # `..` is the same in the tree
            raise OutsideSubset
        within = replace(context, functions={**context.functions, key: None})
        function = _Function(node.parameters, node.body, within)
        rest = replace(context, functions={**context.functions, key: function})
        return self.expand(node.rest, rest, depth + 1)

    def _called(self, name: str, arguments: tuple[Node, ...], context: _Context, depth: int) -> Node:
        function = context.functions[name, len(arguments)]
        if function is None:
            raise OutsideSubset
        within, bound = function.context, []
        functions = dict(within.functions)
        for parameter, argument in zip(function.parameters, arguments, strict=True):
            functions[parameter.removeprefix("$"), 0] = _Function((), argument, context)
            if parameter.startswith("$"):
                fresh, within = self._variable(within, parameter[1:])
                bound.append((fresh, self.expand(argument, context, depth + 1)))
        within = replace(within, functions=functions)
        body = self.expand(function.body, within, depth + len(bound) + 1)
        for fresh, source in reversed(bound):
            body = Bind(source, fresh, body)
        return body


def _rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:  # noqa: C901, PLR0911, PLR0912 -- one case per kind
    """Returns the node with its parts changed. It is not for nodes that bind names."""
    match node:
        case Path(base, steps):
            return Path(change(base), tuple(_step(step, change) for step in steps))
        case Array(body):
            return Array(None if body is None else change(body))
        case Object(entries):
            return Object(tuple((change(key), change(value)) for key, value in entries))
        case Text(form, parts):
            return Text(form, tuple(part if isinstance(part, str) else change(part) for part in parts))
        case Pipe(parts):
            return Pipe(tuple(map(change, parts)))
        case Comma(parts):
            return Comma(tuple(map(change, parts)))
        case Binary(operator, left, right):
            return Binary(operator, change(left), change(right))
        case Negate(body):
            return Negate(change(body))
        case If(branches, otherwise):
            pairs = tuple((change(condition), change(then)) for condition, then in branches)
            return If(pairs, change(otherwise))
        case Optional(body):
            return Optional(change(body))
        case Attempt(body, handler):
            return Attempt(change(body), change(handler))
        case Call(name, arguments):
            return Call(name, tuple(map(change, arguments)))
        case Identity() | Literal():
            return node
        case _:
            raise OutsideSubset


def _step(step: Index | Slice | Iterate, change: Callable[[Node], Node]) -> Index | Slice | Iterate:
    match step:
        case Index(key, optional):
            return Index(change(key), optional)
        case Slice(start, end, optional):
            first, last = (None if bound is None else change(bound) for bound in (start, end))
            return Slice(first, last, optional)
        case Iterate():
            return step
