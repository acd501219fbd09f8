"""The outcome of a case, and how it differs from what the case expects."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.conformance.case import Case

REFUSED = "refused"
"""The status of a definition that validation refuses."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case on one engine."""

    status: str
    output: Any = None
    error: Mapping[str, Any] | None = None
    events: Sequence[str] = ()
    """Type and pointer of each event: `task.started /do/0/greet`, `workflow.started`."""
    elapsed: int = 0
    """Milliseconds from start to end."""
    elapsed_exactly: bool = False
    """Whether time was virtual."""
    problems: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Mapping[str, Any]] | None = None
    """None if the engine does not show them."""
    failed_steps: Sequence[str] = ()
    outputs: Sequence[Any] = ()
    """Those of all executions that events started."""


def differences(case: Case, outcome: Outcome) -> list[str]:
    """Returns the differences from what the case expects; one line each."""
    expected = case.members
    found = list(outcome.failed_steps)
    if outcome.status != _status(expected):
        shown = outcome.error or outcome.problems or outcome.output
        found.append(f"status: {outcome.status} ({shown}), expected {_status(expected)}")
    if "output" in expected and not same(outcome.output, expected["output"]):
        found.append(f"output: {_shown(outcome.output)}, expected {_shown(expected['output'])}")
    if "outputs" in expected and not same(_sorted(outcome.outputs), _sorted(expected["outputs"])):
        found.append(f"outputs: {_shown(outcome.outputs)}, expected {_shown(expected['outputs'])}")
    found += _error_differences(outcome.error, expected)
    found += _event_differences(outcome.events, expected)
    found += _problem_differences("problem", outcome.problems, expected.get("problems", ()))
    if outcome.warnings is not None and "warnings" in expected:
        found += _problem_differences("warning", outcome.warnings, expected["warnings"])
    if "elapsed" in expected:
        found += _elapsed_differences(outcome, expected["elapsed"])
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; the order of members does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _sorted(outputs: Sequence[Any]) -> list[Any]:
    """The outputs in an order that does not depend on when they were there."""
    return sorted(outputs, key=lambda output: json.dumps(output, sort_keys=True))


def event_text(type_: str, task: str | None) -> str:
    """Returns an event as cases write it."""
    return f"{type_} {task}" if task else type_


def _status(expected: Mapping[str, Any]) -> str:
    if "status" in expected:
        return str(expected["status"])
    if "problems" in expected:
        return REFUSED
    return "faulted" if expected.keys() & {"error", "whole_error"} else "completed"


def _error_differences(error: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> Iterator[str]:
    actual = error or {}
    if "whole_error" in expected and not same(actual, expected["whole_error"]):
        yield f"error: {_shown(actual)}, expected {_shown(expected['whole_error'])}"
    for name, value in expected.get("error", {}).items():
        found = actual.get(name)
        if name == "type" and "/" not in value:
            found = str(found).rpartition("/")[2]
        if (value not in str(found)) if name == "detail" else found != value:
            yield f"error.{name}: {actual.get(name)!r}, expected {value!r}"


def _event_differences(events: Sequence[str], expected: Mapping[str, Any]) -> Iterator[str]:
    if "path" in expected:
        path = [event.rpartition("/")[2] for event in events if event.startswith("task.started ")]
        if path != expected["path"]:
            yield f"path: {path}, expected {expected['path']}"
    rest = iter(events)
    for event in expected.get("events", ()):
        if event not in rest:  # reads on to the event
            yield f"event {event!r} is missing, or in another order, in {list(events)}"
            break
    for event in expected.get("absent", ()):
        if event in events:
            yield f"event {event!r} must not be there"


def _problem_differences(
    what: str, actual: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    left = list(actual)
    for wanted in expected:
        match = next((problem for problem in left if _is(problem, wanted)), None)
        if match is None:
            yield f"no {what} {dict(wanted)}"
        else:
            left.remove(match)
    yield from (f"unexpected {what}: {dict(problem)}" for problem in left)


def _is(problem: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        problem["pointer"] == wanted["pointer"]
        and problem["line"] == wanted.get("line", problem["line"])
        and wanted.get("message", "") in problem["message"]
    )


def _elapsed_differences(outcome: Outcome, expected: int) -> Iterator[str]:
    if outcome.elapsed < expected or (outcome.elapsed_exactly and outcome.elapsed != expected):
        yield f"elapsed: {outcome.elapsed} ms, expected {expected}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
