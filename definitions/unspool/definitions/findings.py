"""Collects the problems of a document."""

from dataclasses import dataclass, field

from unspool.definitions.document import Document
from unspool.definitions.problems import MAX_PROBLEMS, Problem, Severity


class TooManyProblems(Exception):
    """As many problems are found as one check reports."""


@dataclass(slots=True)
class Findings:
    """The problems found up to now."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def error(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Adds an error. Raises `TooManyProblems` at the limit."""
        self._add(self.document.problem(pointer, message, at_key=at_key))

    def warning(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Adds a warning. Raises `TooManyProblems` at the limit."""
        self._add(self.document.problem(pointer, message, at_key=at_key, severity=Severity.WARNING))

    def _add(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems

    def is_clean(self, pointer: str) -> bool:
        """Returns whether there is no problem at a pointer or below."""
        return not any(
            found.pointer == pointer or found.pointer.startswith(pointer + "/") for found in self.problems
        )

    def in_order(self) -> tuple[Problem, ...]:
        """Returns all errors and warnings in the order of the text."""
        return tuple(sorted(self.problems, key=lambda problem: (problem.line, problem.column)))
