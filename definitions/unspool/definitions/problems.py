"""What is wrong with a workflow document: where, and in which words."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_PROBLEMS: Final = 100
"""As many are collected; nobody reads more at once."""


class Severity(StrEnum):
    """Whether a document with this problem is refused."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and its place; lines and columns count from 1."""

    pointer: str
    """JSON pointer in the document; empty for the whole of it."""
    line: int
    column: int
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message} ({self.pointer or '/'})"


class DefinitionInvalid(ValueError):
    """A text that is no valid workflow definition, and everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem], name: str = "the definition") -> None:
        self.problems = tuple(problems)
        self.name = name
        super().__init__("\n".join(f"{name}:{problem}" for problem in self.problems))
