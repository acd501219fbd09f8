"""`set`: replaces the data (dsl-reference.md, "Set")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json


@dataclass(frozen=True, slots=True)
class Set:
    """The value that replaces the data (inventory F13, I2)."""

    value: Evaluable


def compile_set(task: dict[str, Json], context: CompileContext) -> Set:
    """Compiles a `set` task."""
    return Set(context.transformation(task["set"]))
