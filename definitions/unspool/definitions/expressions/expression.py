"""Compiled expressions: closures, or real jq in a guarded child process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from unspool.definitions.expressions.closures import Closures
from unspool.definitions.expressions.code import Code
from unspool.definitions.expressions.errors import ExpressionError, LimitExceeded
from unspool.definitions.expressions.frame import WORK_UNITS, Frame
from unspool.definitions.expressions.syntax import Node
from unspool.definitions.json_value import Json

GUARDED_CALL: Final = WORK_UNITS // 100
"""Work units of one call to a jq child."""


class JqRunner(Protocol):
    """Runs real jq isolated in child processes. Thread-safe; a call blocks up to the time limit."""

    def run(self, source: str, value: Json, variables: Mapping[str, Json]) -> Json:
        """Returns the first output; None if there is none. Raises `ExpressionError`."""
        ...

    def check(self, source: str, known: frozenset[str] | None = None) -> str | None:
        """Returns why a source is not valid jq; None if it is valid.

        `known` has the variables that exist; None accepts any.
        """
        ...

    def for_tenant(self, tenant: str) -> "JqRunner":
        """Returns the same runner for one tenant. It serves tenants in turn, so none delays the others."""
        ...

    def close(self) -> None:
        """Ends the processes."""
        ...


def _failed(error: ExpressionError, source: str) -> ExpressionError:
    """Notes in an error which expression failed."""
    error.source = source
    return error


class Budget:
    """The work units that several expressions share."""

    __slots__ = ("left",)

    def __init__(self, left: int = WORK_UNITS) -> None:
        self.left = left


class Expression(Protocol):
    """A compiled expression: immutable, thread-safe."""

    @property
    def source(self) -> str:
        """As written, without `${ }`."""
        ...

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables it reads, without `$`."""
        ...

    @property
    def guarded(self) -> bool:
        """Whether evaluating it calls a child process and so may block."""
        ...

    def evaluate(self, value: Json, variables: Mapping[str, Json]) -> Json:
        """Returns the first output; None if there is none. Missing variables are null.

        Raises:
            ExpressionError: it fails, or exceeds a limit.
        """
        ...

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """Evaluates as `evaluate` does, within a budget that other expressions share."""
        ...


@dataclass(frozen=True, slots=True)
class ClosureExpression:
    """An expression of the subset."""

    source: str
    variables: frozenset[str]
    _code: Code
    _places: tuple[tuple[str, int], ...]
    _frame_size: int

    @property
    def guarded(self) -> Literal[False]:
        """It never blocks."""
        return False

    @classmethod
    def compile(cls, source: str, node: Node) -> "ClosureExpression":
        """Compiles a tree. Raises `OutsideSubset`."""
        closures = Closures(node)
        return cls(
            source,
            frozenset(closures.places),
            closures.code,
            tuple(closures.places.items()),
            closures.frame_size,
        )

    def evaluate(self, value: Json, variables: Mapping[str, Json]) -> Json:
        """See `Expression`."""
        return self._first(value, self._frame(variables, WORK_UNITS))

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """See `Expression`."""
        frame = [budget.left] if self._frame_size == 1 else self._frame(variables, budget.left)
        result = self._first(value, frame)
        budget.left = frame[0]
        return result

    def _frame(self, variables: Mapping[str, Json], units: int) -> Frame:
        frame: Frame = [None] * self._frame_size
        frame[0] = units
        for name, place in self._places:
            frame[place] = variables.get(name)
        return frame

    def _first(self, value: Json, frame: Frame) -> Json:
        code = self._code
        try:
            if code.one is not None:
                return code.one(value, frame)
            return next(iter(code.many(value, frame)), None)
        except RecursionError:
            raise _failed(LimitExceeded("nested too deeply"), self.source) from None
        except ExpressionError as error:
            error.source = self.source
            raise


@dataclass(frozen=True, slots=True)
class GuardedExpression:
    """An expression that needs real jq."""

    source: str
    variables: frozenset[str]
    _jq: JqRunner

    @property
    def guarded(self) -> Literal[True]:
        """It may block for as long as the runner lets it."""
        return True

    def evaluate(self, value: Json, variables: Mapping[str, Json]) -> Json:
        """See `Expression`."""
        try:
            return self._jq.run(self.source, value, {name: variables.get(name) for name in self.variables})
        except ExpressionError as error:
            error.source = self.source
            raise

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """See `Expression`; the child limits each call, the budget limits the number of calls."""
        budget.left -= GUARDED_CALL
        if budget.left < 0:
            raise _failed(LimitExceeded("too much work"), self.source)
        return self.evaluate(value, variables)
