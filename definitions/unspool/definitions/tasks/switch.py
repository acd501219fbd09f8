"""`switch`: the first case that holds says where to go (dsl-reference.md, "Switch")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class Case:
    """A case; without a condition it is the default."""

    name: str
    when: Evaluable | None
    then: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Cases in declaration order, the default last wherever it was written (inventory I3, I4)."""

    cases: tuple[Case, ...]


def compile_switch(task: dict[str, Json], site: Site) -> Switch:
    """Reads a `switch` task."""
    cases = [
        Case(name, site.condition(case.get("when")), case["then"])
        for item in task["switch"]
        for name, case in item.items()
    ]
    return Switch(tuple(sorted(cases, key=lambda case: case.when is None)))
