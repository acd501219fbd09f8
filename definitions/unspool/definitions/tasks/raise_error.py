"""`raise`: an error of the author's (dsl-reference.md, "Raise")."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.site import Site
from unspool.definitions.uri_template import Address


@dataclass(frozen=True, slots=True)
class ErrorTemplate:
    """An error whose members may be expressions."""

    type: Address
    members: Evaluable
    """The other members: status, title, detail, instance."""


@dataclass(frozen=True, slots=True)
class Raise:
    """An inline or named error, or an expression that gives one of both (inventory I25)."""

    error: ErrorTemplate | None
    expression: Evaluable | None = None
    named: Mapping[str, ErrorTemplate] = field(default_factory=dict)
    """The errors of `use.errors`, one of which the expression may name."""


def compile_raise(task: dict[str, Json], site: Site) -> Raise:
    """Reads a `raise` task."""
    error = task["raise"]["error"]
    if isinstance(error, str) and site.is_expression(error):
        named = site.bench.use.get("errors", {})
        return Raise(
            None,
            site.expression(error),
            {name: _template(spec, site) for name, spec in named.items()},
        )
    return Raise(_template(site.named("errors", error) if isinstance(error, str) else error, site))


def _template(spec: dict[str, Json], site: Site) -> ErrorTemplate:
    members = {name: value for name, value in spec.items() if name != "type"}
    return ErrorTemplate(site.address(spec["type"]), site.template(members))
