"""`run: shell` (dsl-reference.md, "Shell Process")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable
from unspool.definitions.secret_arguments import SecretTexts
from unspool.definitions.tasks.request import Request

KIND: Final = "shell"


@dataclass(frozen=True, slots=True)
class ShellArguments:
    """The arguments of a shell command, not evaluated."""

    command: Evaluable
    rest: Evaluable
    """Arguments, environment, stdin."""
    options: Mapping[str, Json]
    """`await` and `return`, which have no expressions."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the command for the executor. Raises `ExpressionError`."""
        rest: dict[str, Json] = self.rest.evaluate_within(value, variables, budget)
        return {**rest, **self.options, "command": self.command.evaluate_within(value, variables, budget)}


def compile_shell(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `run: shell` task."""
    run = task["run"]
    shell = {name: value for name, value in run["shell"].items() if name != "command"}
    options = {"await": run.get("await", True), "return": run.get("return", "stdout")}
    texts = SecretTexts(context)
    written = run["shell"]["command"]
    command = context.shell_command(written)
    if texts.take(written, "/command", command, "command"):
        command = context.template(None)
    rest = context.template(texts.taken(shell, ""))
    arguments = ShellArguments(command, rest, options, command.variables | rest.variables)
    return Request(KIND, texts.arguments(arguments), detached=not options["await"])
