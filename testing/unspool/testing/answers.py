"""The answers of mocked tasks: outputs and errors, which may come later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from unspool.definitions.durations import NO_TIME, Duration, parse_duration
from unspool.definitions.errors import DEFAULT_BASE, STANDARD, WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class Call:
    """What a task asked an executor, or a sub-workflow, to do."""

    task: str
    """The name of the task."""
    pointer: str
    """The JSON pointer of the task in its definition."""
    kind: str
    """The kind of the task as in its definition, such as `call: http` or `run: shell`."""
    arguments: Any
    """The evaluated arguments. The input of `run: workflow`, and of a function in Python."""
    workflow: str
    """Namespace and name of the workflow of the task."""
    at: timedelta
    """The virtual time since the start of the test."""


@dataclass(frozen=True, slots=True)
class Output:
    """A task completes with a value."""

    value: Json
    delay: Duration = NO_TIME


@dataclass(frozen=True, slots=True)
class Fault:
    """A task faults with an error."""

    error: WorkflowError
    delay: Duration = NO_TIME


Answer = Output | Fault


@dataclass(frozen=True, slots=True)
class Sequence:
    """An answer for each call, in order."""

    answers: tuple[Json | Answer, ...] = field(default=())


Mock = Json | Answer | Sequence | Callable[[Call], Json | Answer]
"""What a test says about a task: an output as JSON, an answer, a sequence, or a function of the call."""

NOW: Final[Mapping[str, int]] = {"milliseconds": 0}


def output(value: Json = None, *, delay: Json = NOW) -> Output:
    """Returns an answer: the task completes with `value`.

    Args:
        value: the output, before the task's own `output.as`.
        delay: the virtual time that the task takes, as a duration of the DSL, such as `PT2S`.

    Raises:
        BadDuration: `delay` is not a duration.
    """
    return Output(value, parse_duration(delay))


def error(
    type_: str,
    *,
    status: int | None = None,
    title: str | None = None,
    detail: str | None = None,
    delay: Json = NOW,
) -> Fault:
    """Returns an answer: the task faults.

    Args:
        type_: the name of a standard error, such as `communication`, or the URI of another type.
        status: the status; without it that of the standard error, or 500.
        title: a short text.
        detail: a longer text.
        delay: the virtual time that the task takes, as a duration of the DSL.

    Raises:
        ValueError: there is no such standard error.
        BadDuration: `delay` is not a duration.
    """
    standard = type_ in STANDARD
    if not standard and ":" not in type_:
        raise ValueError(f"'{type_}' is no standard error{did_you_mean(type_, STANDARD)}")
    uri = DEFAULT_BASE + type_ if standard else type_
    fault = WorkflowError(uri, status or STANDARD.get(type_, 500), title, detail)
    return Fault(fault, parse_duration(delay))


def sequence(*answers: Json | Answer) -> Sequence:
    """Returns a mock with an answer for each call of the task, in order. One call more fails the test."""
    return Sequence(answers)
