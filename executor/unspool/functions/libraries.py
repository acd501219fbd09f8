"""The shapes of models of pydantic and msgspec. The libraries are used only if the author uses them."""

import re
import typing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from unspool.functions.json_place import below
from unspool.functions.shapes import Mismatch, Schemas, Shape

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_AT: Final = re.compile(r"^(.*) - at `(?:key in )?\$(.*)`$", re.DOTALL)


def model_shape(annotation: Any) -> Shape | None:
    """Returns the shape of a model of pydantic or msgspec, or of an annotation with their constraints.

    Returns None for others.
    """
    if typing.get_origin(annotation) is typing.Annotated:
        owners = {type(each).__module__.partition(".")[0] for each in annotation.__metadata__}
        if owners & {"pydantic", "annotated_types"}:
            return PydanticModel(annotation)
        return MsgspecModel(annotation) if "msgspec" in owners else None
    cls = typing.get_origin(annotation) or annotation
    if hasattr(cls, "__pydantic_validator__") or hasattr(cls, "__pydantic_core_schema__"):
        return PydanticModel(annotation)
    return MsgspecModel(annotation) if hasattr(cls, "__struct_config__") else None


@dataclass(frozen=True)
class PydanticModel:
    """A model of pydantic, a dataclass of pydantic, or an annotation with constraints of pydantic."""

    annotation: Any

    @cached_property
    def _adapter(self) -> Any:
        from pydantic import TypeAdapter  # noqa: PLC0415 - only if the author uses it

        return TypeAdapter(self.annotation)

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        prefix = _name(self.annotation)
        schema = self._adapter.json_schema(
            mode="serialization" if schemas.output else "validation",
            ref_template=f"#/$defs/{prefix}.{{model}}",
        )
        _hoist(schema, prefix, schemas)
        return dict(schema)

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        import json  # noqa: PLC0415 - only for this library

        from pydantic import ValidationError  # noqa: PLC0415 - only if the author uses it

        try:
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            for step in first["loc"]:
                place = below(place, step)
            raise Mismatch(place, str(first["msg"])) from None


@dataclass(frozen=True)
class MsgspecModel:
    """A `Struct` of msgspec, or an annotation with constraints of msgspec."""

    annotation: Any

    def schema(self, schemas: Schemas) -> dict[str, Any]:
        """See `Shape`."""
        import msgspec  # noqa: PLC0415 - only if the author uses it

        prefix = _name(self.annotation)
        [schema], parts = msgspec.json.schema_components(
            [self.annotation], ref_template=f"#/$defs/{prefix}.{{name}}"
        )
        _hoist({"$defs": parts}, prefix, schemas)
        return dict(schema)

    def read(self, value: Any, place: str) -> Any:
        """See `Shape`."""
        import msgspec  # noqa: PLC0415 - only if the author uses it

        try:
            return msgspec.convert(value, self.annotation)
        except msgspec.ValidationError as error:
            at = _AT.match(str(error))
            cause, path = (at[1], at[2]) if at else (str(error), "")
            for name, index in _STEP.findall(path):
                place = below(place, name or index)
            raise Mismatch(place, cause) from None


def _name(annotation: Any) -> str:
    """Returns a name for the schemas that an annotation needs."""
    cls = typing.get_origin(annotation)
    cls = annotation if cls is None or cls is typing.Annotated else cls
    return str(getattr(cls, "__name__", "value"))


def _hoist(schema: dict[str, Any], prefix: str, schemas: Schemas) -> None:
    """Moves the schemas that a schema refers to, to where its references expect them."""
    for name, part in schema.pop("$defs", {}).items():
        schemas.definitions[f"{prefix}.{name}"] = part


def is_object(shape: Shape) -> bool:
    """Returns whether a shape is that of a model, and not of an annotation with constraints."""
    if isinstance(shape, PydanticModel | MsgspecModel):
        return typing.get_origin(shape.annotation) is not typing.Annotated
    return False
