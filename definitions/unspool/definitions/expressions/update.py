"""Changes of values at paths: `setpath`, `delpaths`, and assignments.

A change copies the arrays and objects along its path. A sequence of changes copies each of them
once: `Draft` changes the copies that it made itself in place.
"""

from collections.abc import Iterable
from typing import Final

from unspool.definitions.expressions.access import index
from unspool.definitions.expressions.errors import EvaluationError, LimitExceeded
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_copy
from unspool.definitions.expressions.numbers import truncated
from unspool.definitions.expressions.ordering import Key, is_number, key, kind
from unspool.definitions.json_value import Json

Path = tuple[Json, ...]

_MAX_PATH: Final = 200
"""Steps of a path along which a value is changed."""


class Draft:
    """A value that is changed at many paths."""

    def __init__(self, value: Json, frame: Frame) -> None:
        self.value = value
        self._frame = frame
        self._copies: dict[int, Json] = {}
        """By id, the arrays and objects made here that nothing else refers to."""

    def at(self, path: Path) -> Json:
        """Returns the value at a path (`getpath`). The caller may keep it; it is never changed in place."""
        found = get_path(self.value, path, self._frame)
        if id(found) in self._copies:
            self._copies.clear()
        return found

    def set(self, path: Path, new: Json) -> None:
        """Sets the value at a path (`setpath`). Raises `EvaluationError` if the path does not fit."""
        if len(path) > _MAX_PATH:
            raise LimitExceeded(f"a path of more than {_MAX_PATH} steps")
        self.value = self._set(self.value, path, 0, new)

    def _set(self, value: Json, path: Path, depth: int, new: Json) -> Json:
        if depth == len(path):
            return new
        charge(self._frame, ITEM)
        name = path[depth]
        inner = self._set(index(value, _step(name), self._frame), path, depth + 1, new)
        return self._with(value, name, inner)

    def _with(self, value: Json, name: Json, inner: Json) -> Json:
        if isinstance(name, str):
            changed = self._own(value, {})
            changed[name] = inner
            return changed
        if not is_number(name):
            raise EvaluationError(f"cannot update {kind(value)} at {kind(name)} index")
        length = len(value) if value is not None else 0
        at = truncated(name)
        at += length if at < 0 else 0
        if at < 0:
            raise EvaluationError("out of bounds negative array index")
        charge(self._frame, ITEM * max(0, at - length))
        changed = self._own(value, [])
        changed.extend([None] * (at + 1 - length))
        changed[at] = inner
        return changed

    def _own(self, value: Json, empty: Json) -> Json:
        """Returns the value if it was made here, else a copy."""
        if id(value) in self._copies:
            return value
        copy = empty if value is None else value.copy()
        charge_copy(self._frame, len(copy))
        self._copies[id(copy)] = copy
        return copy


def _step(name: Json) -> Json:
    if isinstance(name, (str, int, float)) and not isinstance(name, bool):
        return name
    raise EvaluationError(f"{kind(name)} is not a step of a path that can be changed")


def get_path(value: Json, path: Iterable[Json], frame: Frame) -> Json:
    """Returns `getpath(path)`; null if the path leads out of the value."""
    for name in path:
        charge(frame, ITEM)
        value = index(value, name, frame)
    return value


def without(value: Json, paths: Iterable[Path], frame: Frame) -> Json:
    """Returns `delpaths`: the value without these paths. The last ones are removed first.

    A path inside another one of them is ignored.
    """
    by_key: dict[Key, Path] = {key(list(path), frame): path for path in paths}
    charge(frame, len(by_key) * len(by_key).bit_length() >> 1)
    outermost: list[Key] = []
    for found in sorted(by_key):
        if not outermost or found[: len(outermost[-1])] != outermost[-1]:
            outermost.append(found)
    if () in by_key.values():
        return None
    draft = _Deletion(value, frame)
    for found in reversed(outermost):
        draft.delete(by_key[found])
    return draft.value


class _Deletion(Draft):
    def delete(self, path: Path) -> None:
        """Removes the value at one path."""
        *way, last = path
        parent = self.value
        for name in way:
            parent = None if parent is None else get_path(parent, (name,), self._frame)
        if parent is None:
            return
        index(parent, _step(last), self._frame)  # raises where jq does
        if isinstance(parent, dict):
            if last in parent:
                self._parent(way).pop(last)
            return
        at = truncated(last)
        at += len(parent) if at < 0 else 0
        if 0 <= at < len(parent):
            charge(self._frame, (len(parent) - at >> 8) + 1)  # moves pointers
            del self._parent(way)[at]

    def _parent(self, way: list[Json]) -> Json:
        """Returns the array or object at a path, as one that can be changed in place."""
        found = get_path(self.value, way, self._frame)
        if id(found) in self._copies:
            return found
        copy = self._own(found, None)
        self.set(tuple(way), copy)
        return copy
