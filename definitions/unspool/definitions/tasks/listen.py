"""`listen`: waits for events (dsl-reference.md, "Listen")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.event_consumption import Consumption, Read, compile_consumption
from unspool.definitions.json_value import Json
from unspool.definitions.plan import DataStep, TaskList, resources_of
from unspool.definitions.resource import ResourceReference


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

    to: Consumption
    read: Read
    each: Iterator | None

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The schemas of iterations that are external resources."""
        return () if self.each is None else resources_of(self.each, self.each.output, self.each.export)


def compile_listen(task: dict[str, Json], context: CompileContext) -> Listen:
    """Compiles a `listen` task."""
    written = task["listen"]
    return Listen(
        to=compile_consumption(written["to"], context),
        read=Read(written.get("read", Read.DATA)),
        each=_iterator(task["foreach"], context.at("foreach")) if "foreach" in task else None,
    )


def _iterator(spec: Mapping[str, Any], context: CompileContext) -> Iterator:
    return Iterator(
        item=spec.get("item", "item"),
        at=spec.get("at", "index"),
        tasks=context.task_list(spec.get("do", []), "do"),
        output=context.data_step(spec.get("output"), "as"),
        export=context.data_step(spec.get("export"), "as"),
    )
