"""The functions that an executor has."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from unspool.definitions.json_value import Json
from unspool.eventstore.semver import order


@dataclass(frozen=True, slots=True)
class ServedFunction:
    """A function, by its name and version."""

    name: str
    version: str
    queue: str
    input_schema: Json
    output_schema: Json
    target: Any = field(compare=False, repr=False)
    """A `PythonFunction` or a `KindCall`; both have `opened`."""
    special: bool = False
    """Whether its author chose the queue, for special machines."""
    place: str = ""
    """Where it was declared, for messages."""

    @property
    def identity(self) -> str:
        """Name and version."""
        return f"{self.name}:{self.version}"


class FunctionSet:
    """Functions by name and version."""

    def __init__(self, functions: Iterable[ServedFunction] = ()) -> None:
        """Takes functions whose names and versions are different."""
        self._by_name: dict[str, dict[str, ServedFunction]] = {}
        for each in functions:
            self._by_name.setdefault(each.name, {})[each.version] = each

    def __iter__(self) -> Iterator[ServedFunction]:
        for _, versions in sorted(self._by_name.items()):
            yield from sorted(versions.values(), key=lambda each: order(each.version))

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def get(self, name: str, version: str) -> ServedFunction | None:
        """The function of a name and version."""
        return self._by_name.get(name, {}).get(version)

    def latest(self, name: str) -> ServedFunction | None:
        """The function of a name that has the highest version."""
        versions = self._by_name.get(name, {}).values()
        return max(versions, key=lambda each: order(each.version), default=None)

    @property
    def queues(self) -> frozenset[str]:
        """The queues of the functions."""
        return frozenset(each.queue for each in self)

    def only(self, wanted: Callable[[ServedFunction], bool]) -> "FunctionSet":
        """Some of the functions."""
        return FunctionSet(each for each in self if wanted(each))

    def joined(self, others: Iterable[ServedFunction]) -> "FunctionSet":
        """These and others; these have priority over others of the same name and version."""
        return FunctionSet((*others, *self))

    def names(self) -> frozenset[str]:
        """What a call can name: each name, and each name with a version."""
        return frozenset(text for each in self for text in (each.name, each.identity))


NO_FUNCTIONS = FunctionSet()
