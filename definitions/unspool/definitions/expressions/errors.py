"""Errors of expressions."""

from typing import Final

LONGEST_MESSAGE: Final = 512
"""Characters of a message that are kept."""


class ExpressionError(Exception):
    """An expression does not compile or cannot be evaluated; the text is short and quotes no data.

    `offset` is the index in the source of the cause, if it does not compile. `source` is the expression that
    was evaluated, without `${ }`.
    """

    source: str | None = None

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(
            message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."
        )


class SourceError(ExpressionError):
    """The source of an expression is wrong at one place; `reason` says why, without the place."""

    def __init__(self, reason: str, offset: int) -> None:
        self.reason = reason
        super().__init__(f"{reason} at column {offset + 1}", offset)


class EvaluationError(ExpressionError):
    """An error that jq itself would raise; `?` turns it into no output."""


class LimitExceeded(ExpressionError):
    """More work, memory or depth than one evaluation may have; `?` does not hide it."""

    def __init__(self, of: str) -> None:
        super().__init__(f"expression limit exceeded: {of}")


class OutsideSubset(Exception):
    """The expression may be valid jq, but is outside the subset that compiles to closures."""
