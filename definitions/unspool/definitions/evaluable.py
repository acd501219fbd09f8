"""What has a value when a task runs: an expression or a template."""

from collections.abc import Mapping
from typing import Protocol

from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json


class Evaluable(Protocol):
    """An expression or a template. It is evaluated on a value, with named arguments."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the arguments that it reads, without `$`."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """Returns its value and subtracts the work from the budget. Raises `ExpressionError`."""
