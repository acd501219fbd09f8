"""Adds to a commit what its decision only names: sub-workflows, functions; and trace contexts of events."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from unspool.eventstore.monitoring.trace_context import TRACEPARENT
from unspool.eventstore.records import Commit, ExecutionKey, Outgoing, PublishEvent
from unspool.worker.children import Children
from unspool.worker.function_routes import ROUTED_QUEUES, FunctionRoutes

TraceparentOf = Callable[[ExecutionKey], Awaitable[str]]
"""Returns the trace context of an execution (W3C)."""


def concerns(commit: Commit) -> bool:
    """Whether a commit may name something. Each step asks this."""
    if commit.outgoing:
        return True
    for task in commit.tasks:  # noqa: SIM110 - a generator would cost each step more than the loop
        if task.queue in ROUTED_QUEUES:
            return True
    return False


class Resolution:
    """Resolves the sub-workflows that commits start, and the functions that they call.

    With traces, it also adds the trace context to the events that commits publish.
    """

    def __init__(
        self, children: Children, functions: FunctionRoutes, traceparent_of: TraceparentOf | None = None
    ) -> None:
        """Takes what tells the trace context of an execution; None without traces."""
        self._children = children
        self._functions = functions
        self._traceparent_of = traceparent_of

    async def resolve(self, commit: Commit) -> Commit:
        """The commit with everything resolved. Raises `StartRefused`."""
        return await self._traced(await self._functions.route(await self._children.resolve(commit)))

    async def resolve_at_once(self, commit: Commit) -> Commit | None:
        """The same; None if something must be read first, or `resolve` would raise."""
        resolved = await self._children.resolve_at_once(commit)
        routed = None if resolved is None else self._functions.at_once(resolved)
        return None if routed is None else await self._traced(routed)

    async def _traced(self, commit: Commit) -> Commit:
        """The commit with the trace context of the execution in the events that it publishes."""
        if self._traceparent_of is None or not any(
            isinstance(each, PublishEvent) for each in commit.outgoing
        ):
            return commit
        traceparent = await self._traceparent_of(commit.key)
        return replace(commit, outgoing=tuple(_traced(each, traceparent) for each in commit.outgoing))


def _traced(outgoing: Outgoing, traceparent: str) -> Outgoing:
    """An event with the trace context, unless its author has written one."""
    if not isinstance(outgoing, PublishEvent):
        return outgoing
    return PublishEvent({TRACEPARENT: traceparent, **outgoing.event})
