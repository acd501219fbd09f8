"""`schedule.on`: the events that start a workflow (dsl-reference.md, "Schedule"; inventory C4, C5, C8)."""

from dataclasses import dataclass
from typing import Any

from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.document import load
from unspool.definitions.event_consumption import Consumption, compile_consumption
from unspool.definitions.event_reading import Read
from unspool.definitions.expressions import ExpressionCompiler, JqRunner


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """The events that start a workflow."""

    events: Consumption
    read: Read | None
    """How they are read; None if the author does not say it."""
    guarded: bool
    """Whether its expressions may call jq processes. Then decisions block, and run in a thread."""

    @property
    def collects(self) -> bool:
        """Whether an execution may need several events. Otherwise each event starts one."""
        events = self.events
        return events.strategy.all or events.condition is not None or events.until is not None


def event_trigger_of(text: str, jq: JqRunner | None) -> EventTrigger | None:
    """Returns the event trigger of a stored definition, which has passed the checks; None if it has none.

    Args:
        text: the definition as it was submitted.
        jq: runs the expressions that do not compile to closures.

    Raises:
        ExpressionError: an expression does not compile.
        TaskNotCompilable: a regular expression is not valid.
    """
    definition = load(text).value
    schedule = definition.get("schedule") or {}
    if "on" not in schedule:
        return None
    mode = definition.get("evaluate", {}).get("mode", "strict")
    builder = PlanBuilder(ExpressionCompiler(jq=jq, mode=mode), definition.get("use", {}), _no_task, _no_task)
    events = compile_consumption(schedule["on"], CompileContext("/schedule/on", builder))
    read = Read(schedule["read"]) if "read" in schedule else None
    return EventTrigger(events, read, builder.guarded)


def _no_task(_: Any, context: CompileContext) -> Any:
    raise AssertionError(f"there are no tasks in {context.pointer}")


def partition_names(events: Consumption) -> tuple[str, ...]:
    """Returns the names of the correlations that all filters have: their values tell sets apart."""
    names = [{each.name for each in filter_.correlations} for filter_ in events.filters]
    return tuple(sorted(set.intersection(*names))) if names else ()
