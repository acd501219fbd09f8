"""Makes the shapes of annotations: of types of the standard library, and with `libraries.py` of models."""

import base64
import dataclasses
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal
from uuid import UUID

from unspool.functions.libraries import model_shape
from unspool.functions.shapes import Anything, ListOf, MapOf, Record, Scalar, Shape, TupleOf, Union


class Unsupported(Exception):
    """An annotation has no shape in JSON."""


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _int(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON has one type of numbers
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise TypeError


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return Decimal(str(value))


_SCALARS: Final[dict[Any, Scalar]] = {
    bool: Scalar({"type": "boolean"}, "true or false", _bool),
    int: Scalar({"type": "integer"}, "a whole number", _int),
    float: Scalar({"type": "number"}, "a number", _float),
    str: Scalar({"type": "string"}, "a text", _str),
    type(None): Scalar({"type": "null"}, "null", _none),
    Decimal: Scalar({"type": ["string", "number"]}, "a decimal number", _decimal),
    bytes: Scalar(
        {"type": "string", "contentEncoding": "base64"},
        "a text in base64",
        lambda value: base64.b64decode(_str(value), validate=True),
    ),
    datetime: Scalar(
        {"type": "string", "format": "date-time"},
        "a time such as 2026-01-31T12:00:00Z",
        lambda value: datetime.fromisoformat(_str(value)),
    ),
    date: Scalar(
        {"type": "string", "format": "date"},
        "a date such as 2026-01-31",
        lambda value: date.fromisoformat(_str(value)),
    ),
    time: Scalar(
        {"type": "string", "format": "time"},
        "a time of day such as 12:00:00",
        lambda value: time.fromisoformat(_str(value)),
    ),
    UUID: Scalar({"type": "string", "format": "uuid"}, "a UUID", lambda value: UUID(_str(value))),
}

_ANYTHING: Final = (Any, object, inspect.Parameter.empty)
_LISTS: Final[dict[Any, Callable[..., Any]]] = {
    list: list,
    abc.Sequence: list,
    abc.Iterable: list,
    abc.Collection: list,
    abc.MutableSequence: list,
    set: set,
    abc.Set: frozenset,
    abc.MutableSet: set,
    frozenset: frozenset,
}
_MAPS: Final = (dict, abc.Mapping, abc.MutableMapping)
_QUALIFIERS: Final = (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)


class Shapes:
    """Makes shapes. The shape of a class is made once, so a class can refer to itself."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}

    def of(self, annotation: Any) -> Shape:
        """Returns the shape of an annotation. Raises `Unsupported`."""
        if annotation is None:
            annotation = type(None)
        if any(annotation is each for each in _ANYTHING) or isinstance(annotation, typing.TypeVar):
            return Anything()
        scalar = _SCALARS.get(annotation) if isinstance(annotation, type) else None
        if scalar is not None:
            return scalar
        if isinstance(annotation, typing.NewType):
            return self.of(annotation.__supertype__)
        if hasattr(annotation, "__value__"):  # `type X = …` of Python 3.12
            return self.of(annotation.__value__)
        origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
        return model_shape(annotation) or self._of(annotation, origin, arguments)

    def _of(self, annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Shape:
        if origin is typing.Annotated or origin in _QUALIFIERS:
            return self.of(arguments[0])
        if origin is typing.Union or origin is types.UnionType:
            return Union(tuple(self.of(each) for each in arguments))
        if origin is Literal:
            return _choice({each: each for each in arguments})
        if origin is tuple:
            return self._tuple(arguments)
        if origin in _LISTS:
            make = _LISTS[origin]
            return ListOf(self.of(arguments[0]) if arguments else Anything(), make, make is not list)
        if origin in _MAPS:
            return self._map(annotation, arguments)
        if isinstance(origin, type) and issubclass(origin, Enum):
            return _choice({member.value: member for member in origin})
        return self._record(annotation, origin)

    def _tuple(self, arguments: tuple[Any, ...]) -> Shape:
        if not arguments:
            return ListOf(Anything(), tuple)
        if len(arguments) == 2 and arguments[1] is ...:
            return ListOf(self.of(arguments[0]), tuple)
        return TupleOf(tuple(self.of(each) for each in arguments))

    def _map(self, annotation: Any, arguments: tuple[Any, ...]) -> Shape:
        if not arguments:
            return MapOf(Anything())
        if arguments[0] not in {str, Any}:
            raise Unsupported(f"{_shown(annotation)}: the names of members are text, so write dict[str, …]")
        return MapOf(self.of(arguments[1]))

    def _record(self, annotation: Any, cls: Any) -> Shape:
        if not isinstance(cls, type):
            raise Unsupported(_UNSUPPORTED.format(_shown(annotation)))
        if cls in self._records:
            return self._records[cls]
        if typing.is_typeddict(cls):
            record = self._records[cls] = Record(cls, dict, keeps_others=True)
            required = frozenset(getattr(cls, "__required_keys__"))  # noqa: B009 - mypy does not know it
            names = tuple(sorted({*required, *getattr(cls, "__optional_keys__")}))  # noqa: B009 - the same
        elif dataclasses.is_dataclass(cls):
            record = self._records[cls] = Record(cls, cls)
            fields = [each for each in dataclasses.fields(cls) if each.init]
            names = tuple(each.name for each in fields)
            required = frozenset(each.name for each in fields if _has_no_default(each))
        else:
            raise Unsupported(_UNSUPPORTED.format(_shown(annotation)))
        hints = hints_of(cls)
        record.members = {name: self.of(hints[name]) for name in names}
        record.required = required
        return record


def is_null(shape: Shape) -> bool:
    """Returns whether the only value of a shape is null."""
    return shape is _SCALARS[type(None)]


def hints_of(value: Any) -> dict[str, Any]:
    """Returns the annotations of a class or function. Raises `Unsupported` if a name in one is not known."""
    try:
        return typing.get_type_hints(value, include_extras=True)
    except NameError as error:
        raise Unsupported(
            f"an annotation of {value.__qualname__} has the name {error.name!r}, which its module has not"
        ) from None
    except (TypeError, SyntaxError) as error:
        raise Unsupported(f"an annotation of {value.__qualname__} is not valid: {error}") from None


def _has_no_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _choice(by_value: dict[Any, Any]) -> Scalar:
    """Returns the shape of some values."""
    known = [(value, type(value), member) for value, member in by_value.items()]

    def convert(value: Any) -> Any:
        for each, kind, member in known:
            if value == each and type(value) is kind:  # 1 is not True
                return member
        raise ValueError

    shown = ", ".join(repr(value) for value in by_value)
    return Scalar({"enum": list(by_value)}, f"one of {shown}", convert)


def _shown(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


_UNSUPPORTED: Final = (
    "the type {} has no form in JSON; a dataclass, a TypedDict, a model of pydantic or msgspec, and the types"
    " of the standard library for numbers, text, lists, dictionaries and times have one"
)
