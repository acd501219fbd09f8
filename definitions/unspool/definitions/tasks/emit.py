"""`emit`: publishes an event (dsl-reference.md, "Emit")."""

from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json

_ADDRESSES: Final = ("source", "dataschema")


@dataclass(frozen=True, slots=True)
class Emit:
    """The attributes of the event that the author wrote."""

    attributes: Evaluable
    addresses: tuple[tuple[str, Evaluable], ...]
    """The attributes that are URIs, URI templates or expressions."""


def compile_emit(task: dict[str, Json], context: CompileContext) -> Emit:
    """Compiles an `emit` task."""
    written = task["emit"]["event"].get("with", {})
    addresses = {name: written[name] for name in _ADDRESSES if isinstance(written.get(name), str)}
    return Emit(
        context.template({name: value for name, value in written.items() if name not in addresses}),
        tuple((name, context.address(text)) for name, text in addresses.items()),
    )
