"""`raise`: an error of the author's (dsl-reference.md, "Raise")."""

from dataclasses import dataclass

from unspool.definitions.compilation import Site
from unspool.definitions.plan import Evaluable, Json
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


def compile_raise(task: dict[str, Json], site: Site) -> Raise:
    """Reads a `raise` task."""
    error = task["raise"]["error"]
    if isinstance(error, str) and site.is_expression(error):
        return Raise(None, site.transformation(error))
    spec = site.named("errors", error) if isinstance(error, str) else error
    members = {name: value for name, value in spec.items() if name != "type"}
    return Raise(ErrorTemplate(site.address(spec["type"]), site.template(members)))
