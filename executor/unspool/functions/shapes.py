"""Shapes of data: each has a JSON schema, and reads a JSON value as the Python value that a function expects.

`annotations.py` makes the shape of an annotation.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from unspool.functions.json_place import below


class Mismatch(Exception):
    """A value does not have the expected shape."""

    def __init__(self, place: str, cause: str) -> None:
        """Takes the JSON pointer of the value, and what is wrong with it."""
        super().__init__(f"at {place or '/'}: {cause}")
        self.place = place
        self.cause = cause


@dataclass(slots=True)
class Schemas:
    """Collects the schemas of classes. A schema refers to them by name, so that classes can be recursive."""

    output: bool = False
    """Whether they describe what a function returns. The schemas of a library may differ."""
    definitions: dict[str, Any] = field(default_factory=dict)
    _names: dict[object, str] = field(default_factory=dict)

    def named(self, cls: type, make: Callable[[], Any]) -> dict[str, Any]:
        """Returns a reference to the schema of a class; makes the schema with the first one."""
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = self._new_name(cls)
            self.definitions[name] = {}
            self.definitions[name] = make()
        return {"$ref": f"#/$defs/{name}"}

    def _new_name(self, cls: type) -> str:
        name, number = cls.__name__, 1
        while name in self.definitions:
            number += 1
            name = f"{cls.__name__}{number}"
        return name

    def complete(self, schema: Any) -> Any:
        """Returns a schema together with those that it refers to."""
        return {**schema, "$defs": self.definitions} if self.definitions else schema


class Shape(Protocol):
    """A shape of data."""

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """Returns its JSON schema."""

    def read(self, value: Any, place: str) -> Any:
        """Returns the Python value of a JSON value. Raises `Mismatch`."""


class Anything:
    """Any JSON value, unchanged."""

    def schema(self, schemas: Schemas) -> dict[str, Any]:  # noqa: ARG002 - as all shapes
        """See `Shape`."""
        return {}

    def read(self, value: Any, place: str) -> Any:  # noqa: ARG002 - as all shapes
        """See `Shape`."""
        return value


@dataclass(frozen=True)
class Scalar:
    """A value that is not made of others."""

    described: dict[str, Any]
    """The schema."""
    expected: str
    """Its name in messages."""
    convert: Callable[[Any], Any]
    """Returns the Python value; raises `ValueError` or `TypeError` for others."""

    def schema(self, schemas: Schemas) -> dict[str, Any]:  # noqa: ARG002 - as all shapes
        """See `Shape`."""
        return self.described

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        try:
            return self.convert(value)
        except (ValueError, TypeError, ArithmeticError):
            raise Mismatch(place, f"the value is not {self.expected}") from None


@dataclass(frozen=True)
class ListOf:
    """A list whose items have one shape."""

    items: Shape
    make: Callable[[Iterable[Any]], Any] = list
    unique: bool = False

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        more = {"uniqueItems": True} if self.unique else {}
        return {"type": "array", "items": self.items.schema(schemas), **more}

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        if not isinstance(value, list):
            raise Mismatch(place, "the value is not a list")
        items = [self.items.read(item, below(place, index)) for index, item in enumerate(value)]
        try:
            return self.make(items)
        except TypeError:
            raise Mismatch(place, "an item cannot be a member of a set") from None


@dataclass(frozen=True)
class TupleOf:
    """A list of a fixed length."""

    items: tuple[Shape, ...]

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        of_items = [item.schema(schemas) for item in self.items]
        return {
            "type": "array",
            "prefixItems": of_items,
            "minItems": len(of_items),
            "maxItems": len(of_items),
        }

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        if not isinstance(value, list) or len(value) != len(self.items):
            raise Mismatch(place, f"the value is not a list of {len(self.items)} items")
        return tuple(
            shape.read(item, below(place, i))
            for i, (shape, item) in enumerate(zip(self.items, value, strict=True))
        )


@dataclass(frozen=True)
class MapOf:
    """An object whose members have one shape."""

    members: Shape

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        return {"type": "object", "additionalProperties": self.members.schema(schemas)}

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        if not isinstance(value, dict):
            raise Mismatch(place, "the value is not an object")
        return {name: self.members.read(member, below(place, name)) for name, member in value.items()}


@dataclass(frozen=True)
class Union:
    """One of several shapes; the first that fits."""

    shapes: tuple[Shape, ...]

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        return {"anyOf": [shape.schema(schemas) for shape in self.shapes]}

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        found = []
        for shape in self.shapes:
            try:
                return shape.read(value, place)
            except Mismatch as mismatch:
                found.append(mismatch)
        deepest = max(found, key=lambda each: len(each.place))
        raise (
            deepest if deepest.place != place else Mismatch(place, "the value has none of the possible types")
        )


@dataclass
class Record:
    """An object with known members, such as a dataclass. The shapes of its members are set later: a class may
    refer to itself.
    """

    cls: type
    make: Callable[..., Any]
    """Makes the Python value of the members. It may raise `ValueError` or `TypeError`."""
    keeps_others: bool = False
    """Whether the value has the members that are not known, too."""
    members: Mapping[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        return schemas.named(self.cls, lambda: object_schema(self.members, self.required, schemas))

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        members = read_members(self.members, self.required, value, place)
        if self.keeps_others:
            members = {**value, **members}
        try:
            return self.make(**members)
        except (ValueError, TypeError) as error:
            raise Mismatch(place, f"{self.cls.__name__}: {error}") from error


def object_schema(members: Mapping[str, Shape], required: Iterable[str], schemas: Schemas) -> dict[str, Any]:
    """Returns the schema of an object with these members."""
    properties = {name: shape.schema(schemas) for name, shape in members.items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    needed = [name for name in members if name in frozenset(required)]
    return {**schema, "required": needed} if needed else schema


def read_members(
    members: Mapping[str, Shape], required: Iterable[str], value: Any, place: str
) -> dict[str, Any]:
    """Returns the Python values of the known members of an object. Raises `Mismatch`."""
    if not isinstance(value, dict):
        raise Mismatch(place, "the value is not an object")
    missing = sorted(name for name in required if name not in value)
    if missing:
        raise Mismatch(place, f"the member '{missing[0]}' is missing")
    return {
        name: shape.read(value[name], below(place, name)) for name, shape in members.items() if name in value
    }
