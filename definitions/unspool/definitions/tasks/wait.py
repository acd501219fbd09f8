"""`wait`: a pause (dsl-reference.md, "Wait")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class Wait:
    """How long."""

    duration: DurationTemplate


def compile_wait(task: dict[str, Json], site: Site) -> Wait:
    """Reads a `wait` task."""
    return Wait(site.duration(task["wait"]))
