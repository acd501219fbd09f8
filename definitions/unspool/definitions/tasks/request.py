"""Tasks that executors do: which queue they go to, and how their arguments are evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable


class Arguments(Protocol):
    """A handler's arguments as written."""

    @property
    def variables(self) -> frozenset[str]:
        """The expression arguments they read."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """The arguments as the handler takes them. Raises `ExpressionError`."""


@dataclass(frozen=True, slots=True)
class Request:
    """Work for an executor."""

    queue: str
    arguments: Arguments
    authentication: Evaluable | None = None
    """The policy it authenticates itself by (`$authorization`)."""
    detached: bool = False
    """Whether it is begun and not awaited: then its input is its output."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A task that cannot be executed, by this release or at all; reaching it is a `configuration` error."""

    cause: str
    instance: str | None = None
    """What to point at, if not at the task."""
