"""Event consumption strategies, compiled (dsl-reference.md, "Event Consumption Strategy"; P1-P4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.event_filter import ANY_EVENT, EventFilter, compile_filter


@dataclass(frozen=True, slots=True)
class Strategy:
    """Which events are consumed."""

    filters: tuple[EventFilter, ...]
    all: bool = False
    """Whether each filter consumes one event. Otherwise one event is enough, unless there is an `until`."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """Which events are consumed, and when they are enough."""

    strategy: Strategy
    condition: Evaluable | None
    """`until` as an expression on the events consumed up to now (inventory P2)."""
    until: Strategy | None
    """`until` as events (inventory P3)."""

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """All filters: first those of the strategy, then those of `until`."""
        return self.strategy.filters + (self.until.filters if self.until is not None else ())


def compile_consumption(spec: Mapping[str, Any], context: CompileContext) -> Consumption:
    """Compiles an event consumption strategy."""
    until = spec.get("until") if "any" in spec else None
    return Consumption(
        strategy=_strategy(spec, context),
        condition=context.condition(until) if isinstance(until, str) else None,
        until=_strategy(until, context) if isinstance(until, dict) else None,
    )


def _strategy(spec: Mapping[str, Any], context: CompileContext) -> Strategy:
    if "one" in spec:
        return Strategy((compile_filter(spec["one"], context),))
    if "all" in spec:
        return Strategy(tuple(compile_filter(each, context) for each in spec["all"]), all=True)
    return Strategy(tuple(compile_filter(each, context) for each in spec["any"]) or (ANY_EVENT,))
