"""Compiles paths. They are the most frequent expressions, so they have special cases."""

from collections.abc import Iterator
from typing import Final

from unspool.definitions.expressions.access import cut, index, items, member
from unspool.definitions.expressions.code import Code, applied, product, single
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import Frame, One, charge
from unspool.definitions.expressions.syntax import Index, Iterate, Literal, Slice
from unspool.definitions.json_value import Json


def chain(base: One | None, names: tuple[str, ...]) -> One:
    """Returns the code of members of members, from the input or from a base."""
    if base is not None:
        follow = chain(None, names)
        return lambda value, frame: follow(base(value, frame), frame)
    if len(names) == 1:
        (only,) = names
        return lambda value, _: value.get(only) if type(value) is dict else member(value, only)

    def run(value: Json, _: Frame) -> Json:
        for name in names:
            value = value.get(name) if type(value) is dict else member(value, name)
        return value

    return run


def constant_names(steps: tuple[Index | Slice | Iterate, ...]) -> tuple[str, ...]:
    """Returns the names at the start of a path that are constant and not optional."""
    names: list[str] = []
    for step in steps:
        match step:
            case Index(Literal(str() as name), optional=False):
                names.append(name)
            case _:
                break
    return tuple(names)


def indexed(base: Code, at: Code, *, optional: bool) -> Code:
    """Returns the code of `base[at]`."""
    return _optional(base, at) if optional else applied(index, at, base)


def _optional(base: Code, at: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for place in at.many(value, frame):
            for target in base.many(value, frame):
                try:
                    found = index(target, place, frame)
                except EvaluationError:
                    continue
                yield found

    return Code(many)


def sliced(base: Code, start: Code, end: Code, *, optional: bool) -> Code:
    """Returns the code of `base[start:end]`."""
    if not optional:
        return product((start, end, base), lambda chosen, frame: cut(chosen[2], chosen[0], chosen[1], frame))

    bounds = product((start, end), lambda chosen, _: list(chosen))

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for first, last in bounds.many(value, frame):
            for target in base.many(value, frame):
                try:
                    part = cut(target, first, last, frame)
                except EvaluationError:
                    continue
                yield part

    return Code(many)


def iterated(base: Code, cost: int, *, optional: bool) -> Code:
    """Returns the code of `base[]`. It charges for each output."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for target in base.many(value, frame):
            try:
                inside = items(target)
            except EvaluationError:
                if optional:
                    continue
                raise
            for item in inside:
                charge(frame, cost)
                yield item

    return Code(many)


NOTHING: Final = single(lambda _value, _frame: None)
"""The bound of a slice that is not written."""
