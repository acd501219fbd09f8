"""What the tasks that run a process have in common (dsl-reference.md, "Run")."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.resource import ResourceReference
from unspool.definitions.secret_arguments import SecretTexts
from unspool.definitions.tasks.request import Request

_NO_DOCUMENTS: Final[Mapping[str, ResourceReference]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ProcessArguments:
    """The arguments of a process, not evaluated."""

    command: Evaluable | None
    rest: Evaluable
    """Arguments, environment, stdin and so on."""
    constants: Mapping[str, Json]
    """Members that have no expressions, such as `await` and `return`."""
    variables: frozenset[str]

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the request for the executor. Raises `ExpressionError`."""
        arguments: dict[str, Json] = {
            **self.rest.evaluate_within(value, variables, budget),
            **self.constants,
        }
        if self.command is not None:
            arguments["command"] = self.command.evaluate_within(value, variables, budget)
        return arguments


def compile_process(
    kind: str,
    task: dict[str, Any],
    members: dict[str, Json],
    context: CompileContext,
    *,
    constants: Collection[str] = (),
    documents: Mapping[str, ResourceReference] = _NO_DOCUMENTS,
) -> Request:
    """Compiles a task that runs a process.

    Args:
        kind: of the handler.
        task: the task.
        members: describe the process. `command` is a shell command.
        context: the place of the task.
        constants: names of the members that have no expressions.
        documents: the external resources that the process needs, by name.
    """
    run = task["run"]
    options = {"await": run.get("await", True), "return": run.get("return", "stdout")}
    texts = SecretTexts(context)
    command = None
    if (written := members.get("command")) is not None:
        command = context.shell_command(written)
        if texts.take(written, "/command", command, "command"):
            command = context.template(None)
    evaluated = {name: value for name, value in members.items() if name not in {"command", *constants}}
    rest = context.template(texts.taken(evaluated, ""))
    fixed = {**options, **{name: members[name] for name in constants if name in members}}
    reads = rest.variables if command is None else rest.variables | command.variables
    arguments = ProcessArguments(command, rest, fixed, reads)
    return Request(kind, texts.arguments(arguments), detached=not options["await"], documents=documents)
