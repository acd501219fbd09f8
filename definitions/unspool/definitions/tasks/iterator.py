"""`foreach` of `listen` and of AsyncAPI subscriptions (dsl-reference.md, "Subscription Iterator")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.plan import DataStep, TaskList
from unspool.definitions.resource import ResourceReference


@dataclass(frozen=True, slots=True)
class Iterator:
    """How each event or message is processed."""

    item: str
    at: str
    tasks: TaskList
    output: DataStep
    export: DataStep

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The schemas of iterations that are external resources."""
        steps = (self.output, self.export)
        return tuple(step.schema for step in steps if isinstance(step.schema, ResourceReference))


def compile_iterator(spec: Mapping[str, Any], context: CompileContext) -> Iterator:
    """Compiles a `foreach`; the context is its own."""
    return Iterator(
        item=spec.get("item", "item"),
        at=spec.get("at", "index"),
        tasks=context.task_list(spec.get("do", []), "do"),
        output=context.data_step(spec.get("output"), "as"),
        export=context.data_step(spec.get("export"), "as"),
    )
