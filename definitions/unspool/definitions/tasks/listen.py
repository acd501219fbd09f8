"""`listen`: waits for events (dsl-reference.md, "Listen")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.event_consumption import Consumption, compile_consumption
from unspool.definitions.event_reading import Read
from unspool.definitions.json_value import Json
from unspool.definitions.resource import ResourceReference
from unspool.definitions.tasks.iterator import Iterator, compile_iterator


@dataclass(frozen=True, slots=True)
class Listen:
    """The events to wait for, and how they are processed."""

    to: Consumption
    read: Read
    each: Iterator | None

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The schemas of iterations that are external resources."""
        return () if self.each is None else self.each.resources


def compile_listen(task: dict[str, Json], context: CompileContext) -> Listen:
    """Compiles a `listen` task."""
    written = task["listen"]
    return Listen(
        to=compile_consumption(written["to"], context),
        read=Read(written.get("read", Read.DATA)),
        each=compile_iterator(task["foreach"], context.at("foreach")) if "foreach" in task else None,
    )
