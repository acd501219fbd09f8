"""`run: shell` (dsl-reference.md, "Shell Process")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.site import Site
from unspool.definitions.tasks.request import Request

QUEUE: Final = "shell"


@dataclass(frozen=True, slots=True)
class ShellArguments:
    """A shell command as written."""

    command: Evaluable
    rest: Evaluable
    """Arguments, environment, stdin."""
    options: Mapping[str, Json]
    """How the process is awaited and read: words of the DSL, never evaluated."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """The command an executor can run. Raises `ExpressionError`."""
        rest: dict[str, Json] = self.rest.evaluate_within(value, variables, budget)
        return {**rest, **self.options, "command": self.command.evaluate_within(value, variables, budget)}


def compile_shell(task: dict[str, Json], site: Site) -> Request:
    """Reads a `run: shell` task."""
    run = task["run"]
    shell = {name: value for name, value in run["shell"].items() if name != "command"}
    options = {"await": run.get("await", True), "return": run.get("return", "stdout")}
    command = site.shell_command(run["shell"]["command"])
    rest = site.template(shell)
    arguments = ShellArguments(command, rest, options, command.variables | rest.variables)
    return Request(QUEUE, arguments, detached=not options["await"])
