"""Loops: `reduce`, `foreach`, `recurse`, `while`, `until`, `repeat`, `range/3`, `skip`; and `label`.

Every round of a loop is charged. The variables of an expression have one place each, so where a loop applies
an expression to its own outputs, the expression is run to its end before it runs again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.code import Code, piped, single
from unspool.definitions.expressions.errors import EvaluationError, OutsideSubset
from unspool.definitions.expressions.frame import ITEM, Frame, Many, One, charge
from unspool.definitions.expressions.operators import add
from unspool.definitions.expressions.ordering import holds, less
from unspool.definitions.json_value import Json

Build = Callable[..., Code]


class _Break(Exception):
    """Ends the body of the label that is this exception."""


def labelled(place: int, body: Code) -> Code:
    """Returns the code of `label $name | body`."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        label = frame[place] = _Break()
        try:
            yield from body.many(value, frame)
        except _Break as ended:
            if ended is not label:
                raise

    return Code(many)


def broken(place: int) -> Code:
    """Returns the code of `break $name`."""

    def many(_: Json, frame: Frame) -> Iterable[Json]:
        raise frame[place]

    return Code(many)


def reduced(cost: int, place: int, source: Code, start: Code, update: Code) -> Code:
    """Returns the code of `reduce`. The last output of an update is the next state; null if it has none."""
    step = _last(update)

    def run(value: Json, frame: Frame, state: Json) -> Json:
        for item in source.many(value, frame):
            charge(frame, cost)
            frame[place] = item
            state = step(state, frame)
        return state

    if start.one is not None:
        begin = start.one
        return single(lambda value, frame: run(value, frame, begin(value, frame)))
    return Code(lambda value, frame: (run(value, frame, state) for state in start.many(value, frame)))


def _last(update: Code) -> One:
    if update.one is not None:
        return update.one

    def last(state: Json, frame: Frame) -> Json:
        found = None
        for found in update.many(state, frame):  # noqa: B007 -- only the last one counts
            pass
        return found

    return last


def iterated(cost: int, place: int, source: Code, start: Code, update: Code, extract: Code) -> Code:
    """Returns the code of `foreach`: as `reduce`, with an output for each state."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for begin in start.many(value, frame):
            state = begin
            for item in source.many(value, frame):
                charge(frame, cost)
                frame[place] = item
                before, state = state, None
                for state in update.many(before, frame):
                    yield from extract.many(state, frame)

    return Code(many)


# -- an expression applied to its own outputs


class _Failed:
    """An error to raise after the outputs before it have been used."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _unfolded(cost: int, next_values: Many, value: Json, frame: Frame) -> Iterator[Json]:
    """Yields a value, then all that an expression makes of it, depth first."""
    pending: list[Json | _Failed] = [value]
    while pending:
        reached = pending.pop()
        if isinstance(reached, _Failed):
            raise reached.error
        charge(frame, cost + ITEM)
        yield reached
        found: list[Json | _Failed] = []
        try:
            for output in next_values(reached, frame):
                charge(frame, ITEM)
                found.append(output)
        except (EvaluationError, _Break) as error:
            found.append(_Failed(error))
        pending += found[::-1]


def _recurse(cost: int, step: Code, condition: Code | None = None) -> Code:
    if condition is not None:
        step = piped((step, _selected(condition)))
    return Code(lambda value, frame: _unfolded(cost, step.many, value, frame))


def _selected(condition: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for output in condition.many(value, frame):
            if holds(output):
                yield value

    return Code(many)


def _one(condition: Code) -> One:
    """Returns the function of a condition with one output. Real jq runs conditions with several."""
    if condition.one is None:
        raise OutsideSubset
    return condition.one


def _while(cost: int, condition: Code, update: Code) -> Code:
    test = _one(condition)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        if holds(test(value, frame)):
            yield from _unfolded(cost, following, value, frame)

    following = piped((update, _selected(condition))).many
    return Code(many)


def _until(cost: int, condition: Code, update: Code) -> Code:
    test = _one(condition)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for reached in _unfolded(cost, following, value, frame):
            if holds(test(reached, frame)):
                yield reached

    def following(value: Json, frame: Frame) -> Iterable[Json]:
        return () if holds(test(value, frame)) else update.many(value, frame)

    return Code(many)


def _repeat(cost: int, body: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        while True:
            charge(frame, cost + ITEM)
            yield from body.many(value, frame)

    return Code(many)


# -- numbers of outputs


def _range_by(cost: int, first: Code, last: Code, step: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for start in first.many(value, frame):
            for end in last.many(value, frame):
                for by in step.many(value, frame):
                    yield from _numbers(start, end, by, cost, frame)

    return Code(many)


def _numbers(start: Json, end: Json, by: Json, cost: int, frame: Frame) -> Iterator[Json]:
    if by and int is type(start) is type(end) is type(by):
        for number in range(start, end, by):
            charge(frame, cost + ITEM)
            yield number
        return
    up, down = less(0, by, frame), less(by, 0, frame)
    number = start
    while (up and less(number, end, frame)) or (down and less(end, number, frame)):
        charge(frame, cost + ITEM)
        yield number
        number = add(number, by, frame)


def _skip(_: int, count: Code, stream: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for wanted in count.many(value, frame):
            if less(wanted, 0, frame):
                raise EvaluationError("skip doesn't support negative count")
            left = wanted
            for output in stream.many(value, frame):
                if less(0, left, frame):
                    left = add(left, -1, frame)
                else:
                    yield output

    return Code(many)


LOOPS: Final[Mapping[tuple[str, int], Build]] = MappingProxyType(
    {
        ("recurse", 1): _recurse,
        ("recurse", 2): _recurse,
        ("while", 2): _while,
        ("until", 2): _until,
        ("repeat", 1): _repeat,
        ("range", 3): _range_by,
        ("skip", 2): _skip,
    }
)
"""Builtins by name and number of arguments."""
