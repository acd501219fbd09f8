"""`set`: data made anew (dsl-reference.md, "Set")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class Set:
    """The value that replaces the data (inventory F13, I2)."""

    value: Evaluable


def compile_set(task: dict[str, Json], site: Site) -> Set:
    """Reads a `set` task."""
    return Set(site.transformation(task["set"]))
