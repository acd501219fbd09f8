"""`switch`: continues as the first case that holds says (dsl-reference.md, "Switch")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json


@dataclass(frozen=True, slots=True)
class Case:
    """A case. Without a condition it is the default case."""

    name: str
    when: Evaluable | None
    then: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Cases in the order of declaration, but the default case last (inventory I3, I4)."""

    cases: tuple[Case, ...]


def compile_switch(task: dict[str, Json], context: CompileContext) -> Switch:
    """Compiles a `switch` task."""
    cases = [
        Case(name, context.condition(case.get("when")), case["then"])
        for item in task["switch"]
        for name, case in item.items()
    ]
    return Switch(tuple(sorted(cases, key=lambda case: case.when is None)))
