"""The constructs of jq that combine expressions."""

from collections.abc import Iterator, Sequence

from unspool.definitions.expressions.code import Code, single
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import Frame, charge
from unspool.definitions.expressions.ordering import holds
from unspool.definitions.json_value import Json


def comma(parts: Sequence[Code], cost: int) -> Code:
    """Returns the code of `a, b`."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for part in parts:
            charge(frame, cost)
            yield from part.many(value, frame)

    return Code(many)


def logical(left: Code, right: Code, *, decided: bool) -> Code:
    """Returns the code of `and` and `or`. A false left side decides `and`, a true one decides `or`."""
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Json, frame: Frame) -> bool:
            return decided if holds(first(value, frame)) is decided else holds(second(value, frame))

        return single(one)

    def many(value: Json, frame: Frame) -> Iterator[bool]:
        for output in left.many(value, frame):
            if holds(output) is decided:
                yield decided
            else:
                for other in right.many(value, frame):
                    yield holds(other)

    return Code(many)


def alternative(left: Code, right: Code) -> Code:
    """Returns the code of `a // b`."""
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Json, frame: Frame) -> Json:
            found = first(value, frame)
            return found if holds(found) else second(value, frame)

        return single(one)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        found = False
        for output in left.many(value, frame):
            if holds(output):
                found = True
                yield output
        if not found:
            yield from right.many(value, frame)

    return Code(many)


def conditional(pairs: Sequence[tuple[Code, Code]], otherwise: Code) -> Code:
    """Returns the code of `if`, with its conditions and branches."""
    code = otherwise
    for condition, then in reversed(pairs):
        code = _choice(condition, then, code)
    return code


def _choice(condition: Code, then: Code, otherwise: Code) -> Code:
    if condition.one and then.one and otherwise.one:
        test, yes, no = condition.one, then.one, otherwise.one
        return single(lambda value, frame: (yes if holds(test(value, frame)) else no)(value, frame))

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for output in condition.many(value, frame):
            yield from (then if holds(output) else otherwise).many(value, frame)

    return Code(many)


def bound(source: Code, place: int, body: Code) -> Code:
    """Returns the code of `source as $name | body`."""
    if source.one is not None and body.one is not None:
        start, finish = source.one, body.one

        def one(value: Json, frame: Frame) -> Json:
            frame[place] = start(value, frame)
            return finish(value, frame)

        return single(one)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for output in source.many(value, frame):
            frame[place] = output
            yield from body.many(value, frame)

    return Code(many)


def attempted(body: Code, handler: Code | None = None) -> Code:
    """Returns the code of `body?` and `try body catch handler`. The handler does not read the error."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        try:
            yield from body.many(value, frame)
        except EvaluationError:
            failed = True
        else:
            failed = False
        if failed and handler is not None:
            yield from handler.many(None, frame)

    return Code(many)
