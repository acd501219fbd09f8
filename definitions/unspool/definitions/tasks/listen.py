"""`listen`: waits for events (dsl-reference.md, "Listen", "Event Consumption Strategy")."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.event_filter import ANY_EVENT, EventFilter, compile_filter
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DataStep, Evaluable, TaskList


class Read(StrEnum):
    """How an event is read."""

    DATA = "data"
    ENVELOPE = "envelope"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Strategy:
    """Which events are consumed."""

    filters: tuple[EventFilter, ...]
    all: bool = False
    """Whether each filter consumes one event. Otherwise one event is enough, unless there is an `until`."""


@dataclass(frozen=True, slots=True)
class Iterator:
    """How each event is processed (dsl-reference.md, "Subscription Iterator")."""

    item: str
    at: str
    tasks: TaskList
    output: DataStep
    export: DataStep


@dataclass(frozen=True, slots=True)
class Listen:
    """The events to wait for, and how they are processed."""

    strategy: Strategy
    condition: Evaluable | None
    """`until` as an expression on the events consumed up to now (inventory P2)."""
    until: Strategy | None
    """`until` as events (inventory P3)."""
    read: Read
    each: Iterator | None

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """All filters: first those of the strategy, then those of `until`."""
        return self.strategy.filters + (self.until.filters if self.until is not None else ())


def compile_listen(task: dict[str, Json], context: CompileContext) -> Listen:
    """Compiles a `listen` task."""
    written = task["listen"]
    to, until = written["to"], written["to"].get("until") if "any" in written["to"] else None
    return Listen(
        strategy=_strategy(to, context),
        condition=context.condition(until) if isinstance(until, str) else None,
        until=_strategy(until, context) if isinstance(until, dict) else None,
        read=Read(written.get("read", Read.DATA)),
        each=_iterator(task["foreach"], context.at("foreach")) if "foreach" in task else None,
    )


def _strategy(spec: Mapping[str, Any], context: CompileContext) -> Strategy:
    if "one" in spec:
        return Strategy((compile_filter(spec["one"], context),))
    if "all" in spec:
        return Strategy(tuple(compile_filter(each, context) for each in spec["all"]), all=True)
    return Strategy(tuple(compile_filter(each, context) for each in spec["any"]) or (ANY_EVENT,))


def _iterator(spec: Mapping[str, Any], context: CompileContext) -> Iterator:
    return Iterator(
        item=spec.get("item", "item"),
        at=spec.get("at", "index"),
        tasks=context.task_list(spec.get("do", []), "do"),
        output=context.data_step(spec.get("output"), "as"),
        export=context.data_step(spec.get("export"), "as"),
    )
