"""Path expressions: they can be in `path(…)`, in `del(…)` and on the left of an assignment.

Each output is a path, as a tuple of keys and indices, and the value that it leads to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.access import index, items
from unspool.definitions.expressions.code import Code
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge
from unspool.definitions.expressions.operators import subtract
from unspool.definitions.expressions.ordering import holds, is_number, kind, less
from unspool.definitions.expressions.update import get_path
from unspool.definitions.json_value import Json

Place = tuple[tuple[Json, ...], Json]
"""A path and the value there."""

PathCode = Callable[[Place, Frame], Iterable[Place]]
"""The places that a path expression leads to from one place."""


def identity(place: Place, _: Frame) -> Iterable[Place]:
    """Returns the place itself (`.`)."""
    return (place,)


def nothing(_place: Place, _frame: Frame) -> Iterable[Place]:
    """Returns no place (`empty`)."""
    return ()


def piped(parts: Sequence[PathCode]) -> PathCode:
    """Returns code that applies each part to the places of the one before it."""
    if len(parts) == 1:
        return parts[0]
    first, rest = parts[0], piped(parts[1:])

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for reached in first(place, frame):
            yield from rest(reached, frame)

    return run


def comma(parts: Sequence[PathCode], cost: int) -> PathCode:
    """Returns the code of `a, b`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for part in parts:
            charge(frame, cost)
            yield from part(place, frame)

    return run


def indexed(base: PathCode, at: Code, *, optional: bool) -> PathCode:
    """Returns the code of `base[at]`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for name in at.many(place[1], frame):
            for path, value in base(place, frame):
                try:
                    found = _stepped(path, value, name, frame)
                except EvaluationError:
                    if optional:
                        continue
                    raise
                yield found

    return run


def _stepped(path: tuple[Json, ...], value: Json, name: Json, frame: Frame) -> Place:
    if isinstance(name, list):
        raise EvaluationError(f"cannot update {kind(value)} at the positions of an array")
    charge(frame, ITEM + len(path))
    return (*path, name), index(value, name, frame)


def iterated(base: PathCode, cost: int, *, optional: bool) -> PathCode:
    """Returns the code of `base[]`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for path, value in base(place, frame):
            if optional and not isinstance(value, (list, dict)):
                continue
            inside = items(value)
            names = value if isinstance(value, dict) else range(len(inside))
            for name, item in zip(names, inside, strict=True):
                charge(frame, cost + len(path))
                yield (*path, name), item

    return run


def conditional(condition: Code, then: PathCode, otherwise: PathCode) -> PathCode:
    """Returns the code of `if`: the condition is a value, the branches are paths."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for output in condition.many(place[1], frame):
            yield from (then if holds(output) else otherwise)(place, frame)

    return run


def alternative(left: PathCode, right: PathCode) -> PathCode:
    """Returns the code of `a // b`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        found = False
        for reached in left(place, frame):
            if holds(reached[1]):
                found = True
                yield reached
        if not found:
            yield from right(place, frame)

    return run


def attempted(body: PathCode) -> PathCode:
    """Returns the code of `(body)?`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        try:
            yield from body(place, frame)
        except EvaluationError:
            return

    return run


def bound(source: Code, place_of_variable: int, body: PathCode) -> PathCode:
    """Returns the code of `source as $name | body`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for output in source.many(place[1], frame):
            frame[place_of_variable] = output
            yield from body(place, frame)

    return run


def selected(condition: Code) -> PathCode:
    """Returns the code of `select(condition)`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for output in condition.many(place[1], frame):
            if holds(output):
                yield place

    return run


def first(body: PathCode) -> PathCode:
    """Returns the code of `first(body)`."""

    def run(place: Place, frame: Frame) -> Iterable[Place]:
        for reached in body(place, frame):
            return (reached,)
        return ()

    return run


def limited(count: Code, body: PathCode) -> PathCode:
    """Returns the code of `limit(count; body)`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for wanted in count.many(place[1], frame):
            if less(wanted, 0, frame):
                raise EvaluationError("limit doesn't support negative count")
            if not less(0, wanted, frame):
                continue
            left = wanted
            for reached in body(place, frame):
                left = subtract(left, 1, frame)
                yield reached
                if not less(0, left, frame):
                    break

    return run


def at_path(at: Code) -> PathCode:
    """Returns the code of `getpath(path)`."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        for steps in at.many(place[1], frame):
            if not isinstance(steps, list):
                raise EvaluationError(f"a path must be an array, not {kind(steps)}")
            if not all(isinstance(step, str) or is_number(step) for step in steps):
                raise EvaluationError("a path that is changed has only strings and numbers")
            charge(frame, ITEM + len(place[0]) + len(steps))
            yield (*place[0], *steps), get_path(place[1], steps, frame)

    return run


def recursed(cost: int) -> PathCode:
    """Returns the code of `..`: the value, then everything inside it, outermost first."""

    def run(place: Place, frame: Frame) -> Iterator[Place]:
        pending = [iter((place,))]
        while pending:
            reached = next(pending[-1], None)
            if reached is None:
                pending.pop()
                continue
            charge(frame, cost + len(reached[0]))
            yield reached
            if isinstance(reached[1], (list, dict)):
                pending.append(iter(inside(reached, frame)))

    inside = iterated(identity, 1, optional=True)
    return run


def outputs(places: PathCode) -> Code:
    """Returns the code of the values that a path expression leads to."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for _, reached in places(((), value), frame):
            yield reached

    return Code(many)


def of_kinds(*kinds: str) -> PathCode:
    """Returns the code of builtins such as `strings`."""
    return lambda place, _: (place,) if kind(place[1]) in kinds else ()


_SCALARS: Final = ("null", "boolean", "number", "string")

KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "values": ("boolean", "number", "string", "array", "object"),
        "nulls": ("null",),
        "booleans": ("boolean",),
        "numbers": ("number",),
        "strings": ("string",),
        "arrays": ("array",),
        "objects": ("object",),
        "iterables": ("array", "object"),
        "scalars": _SCALARS,
    }
)
"""Builtins that select values by type."""
