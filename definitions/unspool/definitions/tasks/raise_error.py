"""`raise`: an error of the author (dsl-reference.md, "Raise")."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json
from unspool.definitions.uri_template import Address


@dataclass(frozen=True, slots=True)
class ErrorTemplate:
    """An error whose members may be expressions."""

    type: Address
    members: Evaluable
    """The other members: status, title, detail, instance."""


@dataclass(frozen=True, slots=True)
class Raise:
    """An error, or an expression that returns an error or the name of one (inventory I25)."""

    error: ErrorTemplate | None
    expression: Evaluable | None = None
    named: Mapping[str, ErrorTemplate] = field(default_factory=dict)
    """The errors of `use.errors`, which the expression may name."""


def compile_raise(task: dict[str, Json], context: CompileContext) -> Raise:
    """Compiles a `raise` task."""
    error = task["raise"]["error"]
    if isinstance(error, str) and context.is_expression(error):
        named = context.builder.use.get("errors", {})
        return Raise(
            None,
            context.expression(error),
            {name: _template(spec, context) for name, spec in named.items()},
        )
    return Raise(_template(context.named("errors", error) if isinstance(error, str) else error, context))


def _template(spec: dict[str, Json], context: CompileContext) -> ErrorTemplate:
    members = {name: value for name, value in spec.items() if name != "type"}
    return ErrorTemplate(context.address(spec["type"]), context.template(members))
