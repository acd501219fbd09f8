"""Matches events with the filters of a schedule. There is no task, so expressions see the event only."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import NOW, Budget, ExpressionError, LimitExceeded, holds, json_size
from unspool.definitions.json_value import Json
from unspool.definitions.schedules.event_trigger import EventTrigger, partition_names
from unspool.eventstore.published_events import CloudEvent, IndexEntry
from unspool.worker.interpreter.decision_builder import Fault
from unspool.worker.interpreter.event_index import index_entry, key_of
from unspool.worker.interpreter.event_matching import expected_values, match

MAX_VALUES: Final = 64 * 1024
"""Characters of the values of correlations of an event. An event with more does not match."""

MAX_RESULT: Final = 1024 * 1024
"""Characters of the result of an expression. Values are shared, so a small program makes a large one."""

_RUNTIME: Final = {"name": "unspool", "version": version("unspool"), "metadata": {}}


class EventScope(NamedTuple):
    """Where the expressions of a schedule are evaluated: outside of all executions."""

    now: int
    """Milliseconds since 1970."""
    budget: Budget

    def evaluate(self, evaluable: Evaluable, value: Json) -> Json:
        """Returns the value of an expression. Raises `Fault` with an `expression` error."""
        variables = {name: self._variable(name) for name in evaluable.variables}
        try:
            result = evaluable.evaluate_within(value, variables, self.budget)
            json_size(result, MAX_RESULT)
        except ExpressionError as error:
            raise Fault(errors.expression(str(error))) from error
        return result

    def _variable(self, name: str) -> Json:
        """The variables of executions have no value here (inventory E2)."""
        return self.now / 1000 if name == NOW else _RUNTIME if name == "runtime" else None


def _is_small(values: dict[str, Json]) -> bool:
    try:
        return not values or json_size(values) <= MAX_VALUES
    except LimitExceeded:
        return False


class EventMatcher:
    """The filters of a schedule, with the values that they compare with."""

    def __init__(self, trigger: EventTrigger, now: int) -> None:
        """Raises `Fault` if an expression that has no event fails, which the author cannot intend."""
        self.trigger = trigger
        self._now = now
        scope = self.scope()
        self._expected = [expected_values(scope, each, None) for each in trigger.events.filters]
        self._known: dict[str, Json] = {}
        for values in self._expected:
            self._known = {**values.get("keys", {}), **self._known}
        self._partition_names = [name for name in partition_names(trigger.events) if name not in self._known]

    def scope(self) -> EventScope:
        """Returns where the expressions for one event are evaluated. Its work is bounded."""
        return EventScope(self._now, Budget())

    def index(self) -> tuple[IndexEntry, ...]:
        """Returns where the filters stand in the index of subscriptions, each place once."""
        filters = zip(self.trigger.events.filters, self._expected, strict=True)
        return tuple(dict.fromkeys(index_entry(each, expected, self._known) for each, expected in filters))

    def values(self, scope: EventScope, place: int, event: CloudEvent) -> dict[str, Json] | None:
        """Returns the values of correlations that an event has for a filter; None if it does not match."""
        filter_ = self.trigger.events.filters[place]
        values = match(scope, filter_, self._expected[place], self._known, event)
        return values if values is None or _is_small(values) else None

    def partition(self, values: dict[str, Json]) -> str:
        """Returns a digest of the values of the correlations that all filters have."""
        return key_of("", [values[name] for name in self._partition_names])

    def holds(self, scope: EventScope, condition: Evaluable, events: Sequence[Json]) -> bool:
        """Returns whether `until` holds on events. A condition that fails does not hold."""
        try:
            return holds(scope.evaluate(condition, list(events)))
        except Fault:
            return False
