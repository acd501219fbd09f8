"""How the input of a call becomes the arguments of a function, and what it returns becomes the output."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from unspool.functions.annotations import Shapes, Unsupported, hints_of, is_null
from unspool.functions.context import Context
from unspool.functions.json_place import below
from unspool.functions.libraries import is_object
from unspool.functions.plain import plain
from unspool.functions.shapes import (
    Anything,
    MapOf,
    Mismatch,
    Record,
    Schemas,
    Shape,
    Union,
    object_schema,
    read_members,
)

__all__ = ["Mismatch", "Signature", "Unsupported", "signature_of"]

_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Signature:
    """The parameters and the result of a function."""

    parameters: dict[str, Shape]
    required: frozenset[str]
    positional: tuple[str, ...]
    """Parameters that Python takes only by their position."""
    whole: str | None
    """The parameter that takes the whole input; None if each parameter is a member of it."""
    context: str | None
    """The parameter that takes the context."""
    result: Shape

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the input."""
        schemas = Schemas()
        if not self.parameters:
            return {}
        if self.whole is not None:
            return typing.cast(
                "dict[str, Any]", schemas.complete(self.parameters[self.whole].schema(schemas))
            )
        schema = {**object_schema(self.parameters, self.required, schemas), "additionalProperties": False}
        return typing.cast("dict[str, Any]", schemas.complete(schema))

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of the output."""
        schemas = Schemas(output=True)
        return typing.cast("dict[str, Any]", schemas.complete(self.result.schema(schemas)))

    def arguments(self, value: Any, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """Returns the positional and the named arguments of a call. Raises `Mismatch`."""
        if self.whole is not None:
            named = {self.whole: self.parameters[self.whole].read(value, "")}
        elif self.parameters:
            named = read_members(self.parameters, self.required, value, "")
            unknown = [name for name in value if name not in self.parameters]
            if unknown:
                known = ", ".join(self.parameters)
                raise Mismatch(below("", unknown[0]), f"the function has no such parameter; it has {known}")
        else:
            named = {}
        if self.context is not None:
            named[self.context] = context
        return [named.pop(name) for name in self.positional if name in named], named

    def output(self, value: Any) -> Any:
        """Returns the JSON value of a result. Raises `Mismatch`."""
        return plain(value)


def signature_of(function: Callable[..., Any]) -> Signature:
    """Returns the signature of a function. Raises `Unsupported`."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Unsupported("the function has a yield; it must return its result")
    hints, shapes = hints_of(_with_hints(function)), Shapes()
    parameters, context = [], None
    for each in inspect.signature(function).parameters.values():
        annotation = hints.get(each.name, inspect.Parameter.empty)
        if _is_context(annotation):
            context = each.name
        elif each.kind in _VARIADIC:
            raise Unsupported(f"the parameter {each} takes any number of values; name each parameter")
        else:
            parameters.append((each, _shape(shapes, each.name, annotation)))
    whole = None
    if len(parameters) == 1:
        [(only, shape)] = parameters
        whole = only.name if _is_object(shape) else None
    all_names = inspect.signature(function).parameters.values()
    return Signature(
        {each.name: shape for each, shape in parameters},
        frozenset(each.name for each, _ in parameters if each.default is each.empty),
        tuple(each.name for each in all_names if each.kind is each.POSITIONAL_ONLY),
        whole,
        context,
        _shape(shapes, "return", hints.get("return", inspect.Parameter.empty)),
    )


def _with_hints(function: Callable[..., Any]) -> Any:
    """Returns the object that has the annotations: of an object that can be called, its method."""
    return function if inspect.isroutine(function) else type(function).__call__


def _shape(shapes: Shapes, name: str, annotation: Any) -> Shape:
    try:
        return shapes.of(annotation)
    except Unsupported as error:
        what = "the result" if name == "return" else f"the parameter {name}"
        raise Unsupported(f"{what}: {error}") from None


def _is_context(annotation: Any) -> bool:
    return annotation is Context or (Context in typing.get_args(annotation))


def _is_object(shape: Shape) -> bool:
    """Returns whether the only parameter takes the whole input: its values are objects, or anything."""
    if isinstance(shape, Union):
        return all(_is_object(each) for each in shape.shapes if not is_null(each))
    return isinstance(shape, Anything | MapOf | Record) or is_object(shape)
