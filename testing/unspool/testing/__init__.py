"""Workflows in unit tests: the interpreter of a worker, virtual time, mocked tasks (docs/testing.md)."""

from unspool.testing.answers import Call, Mock, error, output, sequence
from unspool.testing.errors import EndlessExecution, MockExhausted, NotJson, UnknownMock, UnmockedTask
from unspool.testing.published import event
from unspool.testing.run import Run
from unspool.testing.workflow import START, Workflow

__all__ = [
    "START",
    "Call",
    "EndlessExecution",
    "Mock",
    "MockExhausted",
    "NotJson",
    "Run",
    "UnknownMock",
    "UnmockedTask",
    "Workflow",
    "error",
    "event",
    "output",
    "sequence",
]
