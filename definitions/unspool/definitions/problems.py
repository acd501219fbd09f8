"""Problems of a workflow document, with message and position."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_PROBLEMS: Final = 100
"""Errors, and likewise warnings, that one check reports."""


class Severity(StrEnum):
    """Errors make a document invalid, warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem and its position; lines and columns count from 1."""

    pointer: str
    """JSON pointer in the document; empty for the whole document."""
    line: int
    column: int
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message} ({self.pointer or '/'})"


class DefinitionInvalid(ValueError):
    """The text is not a valid workflow definition. Holds all its problems."""

    def __init__(self, problems: Iterable[Problem], name: str = "the definition") -> None:
        self.problems = tuple(problems)
        self.name = name
        super().__init__("\n".join(f"{name}:{problem}" for problem in self.problems))
