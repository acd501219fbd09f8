"""Decides whether an event is one that a filter describes (inventory P5 to P7)."""

from collections.abc import Mapping
from typing import Protocol

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.event_filter import (
    Condition,
    Correlation,
    EventFilter,
    Literal,
    Pattern,
    Predicate,
)
from unspool.definitions.json_equality import equal
from unspool.definitions.json_value import Json
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.decision_builder import Fault


class Scope(Protocol):
    """Where expressions are evaluated."""

    def evaluate(self, evaluable: Evaluable, value: Json) -> Json:
        """Returns the value of an expression. Raises `Fault`."""


def expected_values(scope: Scope, filter_: EventFilter, data: Json) -> dict[str, Json]:
    """Reads the values that a filter compares with, from the data of the task. Raises `Fault`."""
    attributes = {name: scope.evaluate(value, data) for name, value in filter_.expected.items()}
    keys = {
        each.name: scope.evaluate(each.expect, data)
        for each in filter_.correlations
        if each.expect is not None
    }
    return {name: values for name, values in (("attributes", attributes), ("keys", keys)) if values}


def match(
    scope: Scope, filter_: EventFilter, expected: dict[str, Json], keys: Mapping[str, Json], event: CloudEvent
) -> dict[str, Json] | None:
    """Returns the new values of correlations if the event matches, else None.

    An expression that fails does not match: the event may have another shape than the author expected.

    Args:
        scope: where expressions are evaluated.
        filter_: the filter.
        expected: what `expected_values` returned for it.
        keys: the values of correlations that are known.
        event: the event.
    """
    try:
        return _match(scope, filter_, expected, keys, event)
    except Fault:
        return None


def _match(
    scope: Scope, filter_: EventFilter, expected: dict[str, Json], keys: Mapping[str, Json], event: CloudEvent
) -> dict[str, Json] | None:
    if any(event.get(name) != text for name, text in filter_.literals.items()):
        return None
    wanted = expected.get("attributes", {})
    if not all(is_wanted(wanted[name], event.get(name)) for name in filter_.expected):
        return None
    if not all(
        name in event and meets(scope, condition, event[name])
        for name, condition in filter_.conditions.items()
    ):
        return None
    return _correlated(scope, filter_.correlations, {**keys, **expected.get("keys", {})}, event)


def _correlated(
    scope: Scope, correlations: tuple[Correlation, ...], keys: dict[str, Json], event: CloudEvent
) -> dict[str, Json] | None:
    new: dict[str, Json] = {}
    for each in correlations:
        value = scope.evaluate(each.extract, event)
        if value is None or not equal(keys.get(each.name, value), value):
            return None
        if each.name not in keys:
            new[each.name] = value
    return new


def is_wanted(wanted: Json, value: Json) -> bool:
    """Returns whether a value is the wanted one; a boolean says it itself."""
    return wanted if isinstance(wanted, bool) else equal(wanted, value)


def meets(scope: Scope, condition: Condition, value: Json) -> bool:
    """Returns whether a value meets a condition. Raises `Fault`."""
    match condition:
        case Literal(wanted):
            return equal(wanted, value)
        case Pattern(text, whole):
            return value == text or not whole.problems(value)
        case Predicate(expression):
            return is_wanted(scope.evaluate(expression, value), value)
        case tuple():
            return (
                isinstance(value, list)
                and len(value) == len(condition)
                and all(meets(scope, each, item) for each, item in zip(condition, value, strict=True))
            )
        case _:
            return isinstance(value, dict) and all(
                name in value and meets(scope, each, value[name]) for name, each in condition.items()
            )
