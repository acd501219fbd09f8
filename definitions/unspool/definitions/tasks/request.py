"""Tasks that executors run: their queue and their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable


class Arguments(Protocol):
    """The arguments of a handler, not evaluated."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the expression arguments that they read."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the evaluated arguments. Raises `ExpressionError`."""


@dataclass(frozen=True, slots=True)
class Request:
    """Work for an executor."""

    queue: str
    arguments: Arguments
    authentication: Evaluable | None = None
    """The authentication policy (`$authorization`)."""
    detached: bool = False
    """Whether the workflow does not wait for it. Then its output is its input."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A task that cannot be executed. An execution that reaches it faults with a `configuration` error."""

    cause: str
    instance: str | None = None
    """The `instance` of the error, if it is not the task."""
