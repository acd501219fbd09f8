"""Collecting the problems of a document."""

from dataclasses import dataclass, field

from unspool.definitions.document import Document
from unspool.definitions.problems import MAX_PROBLEMS, Problem, Severity


class Enough(Exception):
    """As many problems are found as anybody wants to read."""


@dataclass(slots=True)
class Findings:
    """The problems found so far."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def error(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Notes what makes the document invalid. Raises `Enough` once there are many."""
        self._add(self.document.problem(pointer, message, at_key=at_key))

    def warning(self, pointer: str, message: str, *, at_key: bool = False) -> None:
        """Notes what is probably a mistake. Raises `Enough` once there are many."""
        self._add(self.document.problem(pointer, message, at_key=at_key, severity=Severity.WARNING))

    def _add(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise Enough

    def is_clean(self, pointer: str) -> bool:
        """Whether nothing has been found yet at a pointer or below."""
        return not any(
            found.pointer == pointer or found.pointer.startswith(pointer + "/") for found in self.problems
        )

    def in_order(self) -> tuple[Problem, ...]:
        """All of them, errors and warnings, as they stand in the text."""
        return tuple(sorted(self.problems, key=lambda problem: (problem.line, problem.column)))
