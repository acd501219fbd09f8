"""Collects the problems of a document."""

from dataclasses import dataclass, field

from unspool.definitions.document import Document
from unspool.definitions.problems import MAX_PROBLEMS, Problem, Severity
from unspool.definitions.scalar_positions import ScalarPositions


class TooManyProblems(Exception):
    """The limit of problems that one check reports is reached."""


@dataclass(slots=True)
class Findings:
    """The problems found up to now."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    _positions: ScalarPositions | None = None

    def error(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Adds an error. Raises `TooManyProblems` at the limit."""
        self._add_error(self.document.problem(pointer, message, at_key=at_key))

    def _add_error(self, problem: Problem) -> None:
        if problem in self.problems:  # two rules of the schema can find the same
            return
        self.problems.append(problem)
        if sum(found.severity is Severity.ERROR for found in self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems

    def error_in_text(self, pointer: str, offset: int, message: str) -> None:
        """Adds an error at a character of a string. Raises `TooManyProblems` at the limit."""
        if self._positions is None:
            self._positions = ScalarPositions(self.document.text)
        self._add_error(self.document.problem_in_text(pointer, offset, message, self._positions))

    def warning(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Adds a warning. Above the limit it is ignored, because errors must still be found."""
        if sum(found.severity is Severity.WARNING for found in self.problems) >= MAX_PROBLEMS:
            return
        problem = self.document.problem(pointer, message, at_key=at_key, severity=Severity.WARNING)
        self.problems.append(problem)

    def is_clean(self, pointer: str) -> bool:
        """Returns whether there is no problem at a pointer or below."""
        return not any(
            found.pointer == pointer or found.pointer.startswith(pointer + "/") for found in self.problems
        )

    def in_order(self) -> tuple[Problem, ...]:
        """Returns all errors and warnings in the order of the text."""
        return tuple(sorted(self.problems, key=lambda problem: (problem.line, problem.column)))
