"""The filter of a subscription: an expression on each message (inventory J17)."""

from collections.abc import Mapping
from dataclasses import dataclass

from unspool.definitions.expressions import (
    Budget,
    Expression,
    ExpressionCompiler,
    ExpressionError,
    JqRunner,
)
from unspool.definitions.json_value import Json
from unspool.executor.outcome import reject


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are consumed."""

    expression: Expression | None
    variables: Mapping[str, Json]
    """As they were when the subscription began."""

    @classmethod
    def of(cls, written: Mapping[str, Json] | None, jq: JqRunner | None) -> "MessageFilter":
        """Returns the filter of a task request; None takes every message. Raises `Rejected`."""
        if written is None:
            return cls(None, {})
        try:
            compiled = ExpressionCompiler(jq=jq, mode="strict").expression(written["expression"])
        except ExpressionError as error:
            reject(f"the filter of the subscription: {error}")
        return cls(compiled, written["variables"])

    def takes(self, message: Json) -> bool:
        """Whether a message is consumed. One on which the expression fails is not."""
        if self.expression is None:
            return True
        try:
            found = self.expression.evaluate_within(message, self.variables, Budget())
        except ExpressionError:
            return False
        return found is not None and found is not False
