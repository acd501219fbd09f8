"""`wait`: a pause (dsl-reference.md, "Wait")."""

from dataclasses import dataclass

from unspool.definitions.compilation import Site
from unspool.definitions.plan import Json, Moment


@dataclass(frozen=True, slots=True)
class Wait:
    """How long."""

    duration: Moment


def compile_wait(task: dict[str, Json], site: Site) -> Wait:
    """Reads a `wait` task."""
    return Wait(site.moment(task["wait"]))
