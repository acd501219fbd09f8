"""Builtins and assignments that take path expressions."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.code import Code, single
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, Many, charge
from unspool.definitions.expressions.operators import OPERATIONS
from unspool.definitions.expressions.ordering import holds, kind
from unspool.definitions.expressions.path_code import PathCode, recursed
from unspool.definitions.expressions.update import Draft, get_path, without
from unspool.definitions.json_value import Json


def _path(_: int, places: PathCode) -> Code:
    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for path, _ in places(((), value), frame):
            yield list(path)

    return Code(many)


def _del(_: int, places: PathCode) -> Code:
    return single(
        lambda value, frame: without(value, [path for path, _ in places(((), value), frame)], frame)
    )


def _pick(_: int, places: PathCode) -> Code:
    def one(value: Json, frame: Frame) -> Json:
        draft = Draft(None, frame)
        for path, _ in places(((), value), frame):
            draft.set(path, get_path(value, path, frame))
        return draft.value

    return single(one)


PATH_FILTERS: Final[Mapping[str, Callable[[int, PathCode], Code]]] = MappingProxyType(
    {"path": _path, "del": _del, "pick": _pick}
)
"""Builtins with one argument that is a path expression."""


def paths(cost: int, condition: Code | None = None) -> Code:
    """Returns the code of `paths` and `paths(condition)`."""
    everything = recursed(cost)

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for path, reached in everything(((), value), frame):
            if condition is None:
                if path:
                    yield list(path)
                continue
            for output in condition.many(reached, frame):
                if path and holds(output):
                    yield list(path)

    return Code(many)


def set_path(_: int, path: Code, new: Code) -> Code:
    """Returns the code of `setpath(path; new)`."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for at in path.many(value, frame):
            for replacement in new.many(value, frame):
                draft = Draft(value, frame)
                draft.set(_steps(at), replacement)
                yield draft.value

    return Code(many)


def _steps(path: Json) -> tuple[Json, ...]:
    if not isinstance(path, list):
        raise EvaluationError(f"a path must be an array, not {kind(path)}")
    return tuple(path)


def value_at(value: Json, path: Json, frame: Frame) -> Json:
    """Returns `getpath(path)`."""
    return get_path(value, _steps(path), frame)


def delete_paths(value: Json, paths: Json, frame: Frame) -> Json:
    """Returns `delpaths(paths)`."""
    if not isinstance(paths, list):
        raise EvaluationError("paths must be an array")
    charge(frame, ITEM * len(paths))
    return without(value, [_steps(path) for path in paths], frame)


def walk(cost: int, body: Code) -> Code:
    """Returns the code of `walk(body)`: the body is applied to all values inside, then to the value."""

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        charge(frame, cost)
        inside = value
        if isinstance(value, list):
            inside = [output for item in value for output in many(item, frame)]
        elif isinstance(value, dict):
            inside = {}
            for name, item in value.items():
                for output in many(item, frame):
                    inside[name] = output
                    break
        yield from body.many(inside, frame)

    return Code(many)


# -- assignments


def assigned(operator: str, cost: int, places: PathCode, right: Code) -> Code:
    """Returns the code of an assignment. All but `|=` have one output for each output of the right side."""
    if operator == "|=":
        return single(lambda value, frame: _updated(value, frame, cost, places, right.many))
    operate = OPERATIONS.get(operator[:-1])

    def many(value: Json, frame: Frame) -> Iterator[Json]:
        for operand in right.many(value, frame):
            yield _assigned(value, frame, operand)

    def _assigned(value: Json, frame: Frame, operand: Json) -> Json:
        draft = Draft(value, frame)
        for path, _ in places(((), value), frame):
            charge(frame, cost)
            if operate is not None:
                draft.set(path, operate(draft.at(path), operand, frame))
            elif operator == "=" or not holds(draft.at(path)):
                draft.set(path, operand)
        return draft.value

    return Code(many)


def _updated(value: Json, frame: Frame, cost: int, places: PathCode, update: Many) -> Json:
    draft, removed = Draft(value, frame), []
    for path, _ in places(((), value), frame):
        charge(frame, cost)
        outputs = update(draft.at(path), frame)
        for output in outputs:
            draft.set(path, output)
            break
        else:
            removed.append(path)
    return without(draft.value, removed, frame)
