"""Builtins that take expressions, and builtins with no or several outputs."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.access import items
from unspool.definitions.expressions.builtins import entries, finite, from_entries, total
from unspool.definitions.expressions.code import Code, applied, single
from unspool.definitions.expressions.errors import EvaluationError, OutsideSubset
from unspool.definitions.expressions.frame import ITEM, Frame, Many, charge
from unspool.definitions.expressions.json_text import to_string
from unspool.definitions.expressions.loops import LOOPS
from unspool.definitions.expressions.numbers import LARGEST, SMALLEST, Number, computed, integer, is_double
from unspool.definitions.expressions.operators import OPERATIONS, subtract
from unspool.definitions.expressions.ordering import Key, equal, holds, is_number, kind, less, sort_keys
from unspool.definitions.expressions.path_filters import paths, set_path, walk
from unspool.definitions.json_value import Json

Build = Callable[..., Code]
"""Builds code from the cost of one pass over the expression and the code of each argument."""


# -- map and select


def _map(cost: int, body: Code) -> Code:
    if body.one is not None:
        run = body.one

        def one(value: Json, frame: Frame) -> Json:
            inside = items(value)
            charge(frame, cost * len(inside))
            return [run(item, frame) for item in inside]

        return single(one)
    many = body.many
    return single(lambda value, frame: list(_mapped(value, frame, cost, many)))


def _mapped(value: Json, frame: Frame, cost: int, body: Many) -> Iterator[Json]:
    for item in items(value):
        charge(frame, cost)
        yield from body(item, frame)


def _select(_: int, condition: Code) -> Code:
    if condition.one is not None:
        test = condition.one
        return Code(lambda value, frame: (value,) if holds(test(value, frame)) else ())

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for output in condition.many(value, frame):
            if holds(output):
                yield value

    return Code(many)


def _selecting(*kinds: str) -> Build:
    return lambda _: Code(lambda value, _frame: (value,) if kind(value) in kinds else ())


def _map_values(cost: int, body: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        charge(frame, cost * len(items(value)))
        if isinstance(value, list):
            return [output for item in value for output in _first_of(body, item, frame)]
        return {name: output for name, item in value.items() for output in _first_of(body, item, frame)}

    return single(one)


def _first_of(body: Code, value: Json, frame: Frame) -> Iterable[Json]:
    for output in body.many(value, frame):
        return (output,)
    return ()


def _with_entries(cost: int, body: Code) -> Code:
    many = body.many
    return single(
        lambda value, frame: from_entries(list(_mapped(entries(value, frame), frame, cost, many)), frame)
    )


# -- sorting and grouping


def _by_outputs(value: Json, frame: Frame, cost: int, body: Code) -> list[tuple[Key, Json]]:
    """Returns each item with its key: the outputs of an expression."""
    inside = list(items(value))
    charge(frame, cost * len(inside))
    keys = sort_keys([list(body.many(item, frame)) for item in inside], frame)
    if not isinstance(value, list):
        raise EvaluationError(f"{kind(value)} cannot be sorted, as it is not an array")
    return list(zip(keys, inside, strict=True))


def _key_of(pair: tuple[Key, Json]) -> Key:
    return pair[0]


def _sorted_pairs(value: Json, frame: Frame, cost: int, body: Code) -> list[tuple[Key, Json]]:
    return sorted(_by_outputs(value, frame, cost, body), key=_key_of)


def _sort_by(cost: int, body: Code) -> Code:
    return single(lambda value, frame: [item for _, item in _sorted_pairs(value, frame, cost, body)])


def _group_by(cost: int, body: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        groups = groupby(_sorted_pairs(value, frame, cost, body), key=_key_of)
        return [[item for _, item in group] for _, group in groups]

    return single(one)


def _unique_by(cost: int, body: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        groups = groupby(_sorted_pairs(value, frame, cost, body), key=_key_of)
        return [next(group)[1] for _, group in groups]

    return single(one)


def _min_by(cost: int, body: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        pairs = _by_outputs(value, frame, cost, body)
        return min(pairs, key=_key_of)[1] if pairs else None

    return single(one)


def _max_by(cost: int, body: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        pairs = _by_outputs(value, frame, cost, body)
        return max(reversed(pairs), key=_key_of)[1] if pairs else None  # the last of equal ones

    return single(one)


def _of_items(build: Build) -> Build:
    """Returns the builder of builtins such as `sort`, for which the item itself is the key."""

    def built(cost: int) -> Code:
        by_value = build(cost, single(lambda value, _: value)).one
        assert by_value is not None  # all of them have one output

        def one(value: Json, frame: Frame) -> Json:
            if not isinstance(value, list):
                raise EvaluationError(f"{kind(value)} cannot be sorted, as it is not an array")
            return by_value(value, frame)

        return single(one)

    return built


# -- any and all


def _quantifier(*, decided: bool) -> Build:
    """Returns the builder of `any(generator; condition)` or `all`: true decides `any`, false `all`."""

    def built(_: int, generator: Code, condition: Code) -> Code:
        def one(value: Json, frame: Frame) -> bool:
            for item in generator.many(value, frame):
                for output in condition.many(item, frame):
                    if holds(output) is decided:
                        return decided
            return not decided

        return single(one)

    return built


def _over_items(quantifier: Build) -> Build:
    return lambda cost, condition: quantifier(cost, _items(cost), condition)


def _itself(quantifier: Build) -> Build:
    return lambda cost: quantifier(cost, _items(cost), single(lambda value, _: value))


def _items(cost: int) -> Code:
    return Code(lambda value, frame: _mapped(value, frame, cost, lambda item, _: (item,)))


def _is_any_of(_: int, stream: Code) -> Code:
    def one(value: Json, frame: Frame) -> bool:
        return any(equal(output, value, frame) for output in stream.many(value, frame))

    return single(one)


def _is_any_of_both(cost: int, source: Code, stream: Code) -> Code:
    return _ANY(cost, applied(OPERATIONS["=="], stream, source), single(lambda value, _: value))


# -- objects by name


def _index(cost: int, stream: Code, name: Code) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        made: dict[str, Json] = {}
        for row in stream.many(value, frame):
            charge(frame, cost + ITEM)
            for output in name.many(row, frame):
                made[to_string(output, frame)] = row
        return made

    return single(one)


# -- numbers


def _power(_: int, base: Code, exponent: Code) -> Code:
    if base.one is None or exponent.one is None:
        raise OutsideSubset
    low, high = base.one, exponent.one

    def one(value: Json, frame: Frame) -> Json:
        operands = low(value, frame), high(value, frame)
        if not all(map(is_number, operands)):
            raise EvaluationError(f"{' and '.join(map(kind, operands))}: numbers required")
        return _raised(*operands)

    return single(one)


def _raised(base: Number, exponent: Number) -> Json:
    double = finite(math.pow, base, exponent)
    if type(base) is not int or exponent < 0 or not float(exponent).is_integer():
        return double
    exact: int = base ** int(exponent)  # at most 1024 bits, as the double is finite
    return integer(exact, base) if SMALLEST <= exact <= LARGEST or not is_double(base) else double


# -- streams


def _first(_: int, stream: Code) -> Code:
    return Code(lambda value, frame: _first_of(stream, value, frame))


def _last(_: int, stream: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterable[Json]:
        found: tuple[Json, ...] = ()
        for output in stream.many(value, frame):
            found = (output,)
        return found

    return Code(many)


def _nth(_: int, count: Code, stream: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for wanted in count.many(value, frame):
            if less(wanted, 0, frame):
                raise EvaluationError("nth doesn't support negative indices")
            for place, output in enumerate(stream.many(value, frame)):
                if place >= math.floor(_count(wanted, frame)):
                    yield output
                    break

    return Code(many)


def _limit(_: int, count: Code, stream: Code) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for wanted in count.many(value, frame):
            if equal(wanted, 0, frame):
                continue
            if less(wanted, 0, frame):
                raise EvaluationError("limit doesn't support negative count")
            for place, output in enumerate(stream.many(value, frame), start=1):
                number = _count(wanted, frame)
                yield output
                if place >= number:
                    break

    return Code(many)


def _count(wanted: Json, frame: Frame) -> float:
    """Returns a number of outputs. It is checked when jq checks it: at the first output."""
    if not is_number(wanted):
        subtract(wanted, 1, frame)  # raises
    return float(wanted)


def _is_empty(_: int, stream: Code) -> Code:
    def one(value: Json, frame: Frame) -> bool:
        return not _first_of(stream, value, frame)

    return single(one)


def _sum(_: int, stream: Code) -> Code:
    return single(lambda value, frame: total(list(stream.many(value, frame)), frame))


def _range(cost: int, *bounds: Code) -> Code:
    first, last = bounds if len(bounds) == 2 else (single(lambda _value, _frame: 0), bounds[0])

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for start in first.many(value, frame):
            for end in last.many(value, frame):
                yield from _numbers(start, end, cost, frame)

    return Code(many)


def _numbers(start: Json, end: Json, cost: int, frame: Frame) -> Iterator[Json]:
    if not (is_number(start) and is_number(end)):
        raise EvaluationError("Range bounds must be numeric")
    if type(start) is int:
        for number in range(start, math.ceil(end)):
            charge(frame, cost)
            yield number
        return
    reached: Number = start
    while reached < end:
        charge(frame, cost)
        yield reached
        reached = computed(reached + 1)


def _empty(_: int) -> Code:
    return Code(lambda _value, _frame: ())


_ANY, _ALL = _quantifier(decided=True), _quantifier(decided=False)
_SCALARS: Final = ("null", "boolean", "number", "string")

FILTERS: Final[Mapping[tuple[str, int], Build]] = MappingProxyType(
    {
        ("map", 1): _map,
        ("select", 1): _select,
        ("map_values", 1): _map_values,
        ("with_entries", 1): _with_entries,
        ("values", 0): _selecting("boolean", "number", "string", "array", "object"),
        ("nulls", 0): _selecting("null"),
        ("booleans", 0): _selecting("boolean"),
        ("numbers", 0): _selecting("number"),
        ("strings", 0): _selecting("string"),
        ("arrays", 0): _selecting("array"),
        ("objects", 0): _selecting("object"),
        ("iterables", 0): _selecting("array", "object"),
        ("scalars", 0): _selecting(*_SCALARS),
        ("sort", 0): _of_items(_sort_by),
        ("unique", 0): _of_items(_unique_by),
        ("min", 0): _of_items(_min_by),
        ("max", 0): _of_items(_max_by),
        ("sort_by", 1): _sort_by,
        ("group_by", 1): _group_by,
        ("unique_by", 1): _unique_by,
        ("min_by", 1): _min_by,
        ("max_by", 1): _max_by,
        ("any", 0): _itself(_ANY),
        ("all", 0): _itself(_ALL),
        ("any", 1): _over_items(_ANY),
        ("all", 1): _over_items(_ALL),
        ("any", 2): _ANY,
        ("all", 2): _ALL,
        ("IN", 1): _is_any_of,
        ("IN", 2): _is_any_of_both,
        ("INDEX", 1): lambda cost, name: _index(cost, _items(cost), name),
        ("INDEX", 2): _index,
        ("pow", 2): _power,
        ("first", 1): _first,
        ("last", 1): _last,
        ("nth", 2): _nth,
        ("limit", 2): _limit,
        ("isempty", 1): _is_empty,
        ("add", 1): _sum,
        ("range", 1): _range,
        ("range", 2): _range,
        ("empty", 0): _empty,
        ("paths", 0): paths,
        ("paths", 1): paths,
        ("setpath", 2): set_path,
        ("walk", 1): walk,
        **LOOPS,
    }
)
"""By name and number of arguments."""
