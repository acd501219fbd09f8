"""How large a result can be beside the data it was made from.

Values are shared, not copied: `[., .] | [., .] | …` makes in no time what would be endless when written out.
Most expressions provably cannot; the results of the others are measured.
"""

import math
from typing import Final

from unspool.definitions.expressions.errors import LimitExceeded
from unspool.definitions.expressions.frame import ITEM, Frame, charge
from unspool.definitions.expressions.syntax import (
    Array,
    Binary,
    Bind,
    Call,
    Comma,
    If,
    Iterate,
    Json,
    Node,
    Object,
    Optional,
    Path,
    Pipe,
    children,
)

DEEPEST_RESULT: Final = 256
_MOST_COPIES: Final = 64
_MOST_LEVELS: Final = 32
_SCALAR: Final = frozenset(
    (
        "length", "utf8bytelength", "type", "not", "has", "in", "contains", "inside", "startswith",
        "endswith", "any", "all", "isempty", "IN", "floor", "ceil", "round", "fabs", "abs", "tonumber",
        "tostring", "tojson", "ascii_downcase", "ascii_upcase", "trim", "ltrim", "rtrim", "ltrimstr",
        "rtrimstr", "trimstr", "join", "index", "rindex", "@text", "@json", "@base64", "@uri", "error",
        "empty",
    )
)  # fmt: skip
_PARTS: Final = frozenset(
    (
        "first", "last", "nth", "select", "values", "nulls", "booleans", "numbers", "strings", "arrays",
        "objects", "iterables", "scalars", "min", "max", "min_by", "max_by", "reverse", "sort",
        "sort_by", "unique", "unique_by", "group_by", "keys", "keys_unsorted", "range", "limit",
    )
)  # fmt: skip


def stays_small(node: Node) -> bool:
    """Whether results are at most a small multiple of the data, so that they need no measuring."""
    return _levels(node) <= _MOST_LEVELS and _copies(node) <= _MOST_COPIES


def _levels(node: Node) -> int:
    return isinstance(node, (Array, Object, Call)) + sum(map(_levels, children(node)))


def _copies(node: Node) -> float:  # noqa: C901, PLR0911, PLR0912 -- one case per kind of node
    """How often the data can occur in one output, at most."""
    match node:
        case Path(base):
            return _copies(base)
        case Array(Comma(parts)) if not any(map(_repeats, parts)):
            return sum(map(_copies, parts))
        case Array(body):
            return 1 if body is None else math.inf if _repeats(body) else _copies(body)
        case Object(entries):
            return sum(_copies(value) for _, value in entries)
        case Pipe(parts):
            return math.prod(map(_copies, parts))
        case Bind(source, _, body):
            return _copies(source) * _copies(body)
        case Binary("+" | "*", left, right):
            return _copies(left) + _copies(right)
        case Binary("-" | "/", left, _):
            return _copies(left)
        case Binary("//", left, right):
            return max(_copies(left), _copies(right))
        case Comma(parts):
            return max(map(_copies, parts))
        case If(branches, otherwise):
            return max(_copies(otherwise), *(_copies(then) for _, then in branches))
        case Optional(body):
            return _copies(body)
        case Call(name, arguments):
            if name in _SCALAR:
                return 1
            return max(map(_copies, arguments), default=1) if name in _PARTS else math.inf
        case _:
            return 1


def _repeats(node: Node) -> bool:
    """Whether it may have several outputs."""
    several = isinstance(node, (Comma, Call)) or (
        isinstance(node, Path) and any(isinstance(step, Iterate) for step in node.steps)
    )
    return several or any(map(_repeats, children(node)))


def measure(result: Json, frame: Frame) -> None:
    """Visits all of a result, at the expense of the allowance.

    Raises:
        LimitExceeded: it is too large or too deep.
    """
    level: list[Json] = [result]
    for _ in range(DEEPEST_RESULT + 1):
        inside: list[Json] = []
        for value in level:
            if isinstance(value, (list, dict)):
                charge(frame, ITEM + len(value))
                inside += value.values() if isinstance(value, dict) else value
        if not inside:
            return
        level = inside
    raise LimitExceeded(f"a result deeper than {DEEPEST_RESULT} levels")
