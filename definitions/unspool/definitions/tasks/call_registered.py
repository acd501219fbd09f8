"""`call` of a function that executors have registered, such as one in Python (docs/functions.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.function_name import RegisteredName
from unspool.definitions.json_value import Json
from unspool.definitions.secret_arguments import SecretTexts
from unspool.definitions.tasks.request import Request

KIND: Final = "function"
"""The queue that the interpreter requests. The worker replaces it by that of the function."""

CHOSEN: Final = "$chosen"
"""The member of a request's arguments that has the version which the worker has chosen."""


@dataclass(frozen=True, slots=True)
class FunctionArguments:
    """What an executor needs to call a function."""

    function: RegisteredName
    input: Evaluable | None
    """The transformed input of the task if it is None."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the expression arguments that the input reads."""
        return frozenset() if self.input is None else self.input.variables

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns name, version if there is one, and input. Raises `ExpressionError`."""
        input_ = value if self.input is None else self.input.evaluate_within(value, variables, budget)
        version = {} if self.function.version is None else {"version": self.function.version}
        return {"name": self.function.name, **version, "input": input_}


def compile_registered_call(
    task: dict[str, Json], function: RegisteredName, context: CompileContext
) -> Request:
    """Compiles a call of a function."""
    texts = SecretTexts(context)
    input_ = context.template(texts.taken(task["with"], "/input")) if "with" in task else None
    return Request(KIND, texts.arguments(FunctionArguments(function, input_)))
