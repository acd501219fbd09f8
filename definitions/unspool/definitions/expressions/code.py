"""Compiled expressions, and how they are combined.

Most expressions have exactly one output, which a plain closure computes; generators are made only for
those that can have none or several. Outputs are produced as they are asked for, in the order of jq.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.frame import Frame, Many, One
from unspool.definitions.json_value import Json

_MOST_OPERANDS: Final = 50
"""The most operands of a construct of which one has several outputs: each is a Python frame."""


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled expression. It has `one` if it has exactly one output."""

    many: Many
    one: One | None = None


def single(run: One) -> Code:
    """Returns code with exactly one output."""
    return Code(lambda value, frame: (run(value, frame),), run)


def applied(operation: Callable[..., Json], outer: Code, inner: Code) -> Code:
    """Returns the code of `operation(inner, outer, frame)` for all pairs; the outer one varies slowest."""
    if outer.one is not None and inner.one is not None:
        slow, fast = outer.one, inner.one

        def one(value: Json, frame: Frame) -> Json:
            late = slow(value, frame)  # evaluated first, as jq does
            return operation(fast(value, frame), late, frame)

        return single(one)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for late in outer.many(value, frame):
            for early in inner.many(value, frame):
                yield operation(early, late, frame)

    return Code(many)


def product(codes: Sequence[Code], build: Callable[[Sequence[Json], Frame], Json]) -> Code:
    """Returns the code of `build` for all combinations of outputs; the first varies slowest."""
    runs = [code.one for code in codes if code.one is not None]
    if len(runs) == len(codes):
        return single(lambda value, frame: build([run(value, frame) for run in runs], frame))
    if len(codes) > _MOST_OPERANDS:
        raise OutsideSubset

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for chosen in _combinations(codes, value, frame):
            yield build(chosen, frame)

    return Code(many)


def _combinations(codes: Sequence[Code], value: Json, frame: Frame) -> Iterator[tuple[Json, ...]]:
    if not codes:
        yield ()
        return
    for first in codes[0].many(value, frame):
        for rest in _combinations(codes[1:], value, frame):
            yield (first, *rest)


def piped(parts: Sequence[Code]) -> Code:
    """Returns code that applies each part to the outputs of the one before it."""
    code = parts[0]
    for part in parts[1:]:
        code = _then(code, part)
    return code


def _then(first: Code, second: Code) -> Code:
    if first.one is not None:
        start = first.one
        if second.one is not None:
            finish = second.one
            return single(lambda value, frame: finish(start(value, frame), frame))
        return Code(lambda value, frame: second.many(start(value, frame), frame))
    if second.one is not None:
        return Code(_mapped(first.many, second.one))

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for output in first.many(value, frame):
            yield from second.many(output, frame)

    return Code(many)


def _mapped(first: Many, second: One) -> Many:
    def many(value: Json, frame: Frame) -> Iterable[Json]:
        for output in first(value, frame):
            yield second(output, frame)

    return many
