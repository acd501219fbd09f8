"""`wait`: a pause (dsl-reference.md, "Wait")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DurationTemplate


@dataclass(frozen=True, slots=True)
class Wait:
    """The duration of the pause."""

    duration: DurationTemplate


def compile_wait(task: dict[str, Json], context: CompileContext) -> Wait:
    """Compiles a `wait` task."""
    return Wait(context.duration(task["wait"]))
