"""Resolves what a decision only names, before its commit: sub-workflows and functions."""

from unspool.eventstore.records import Commit
from unspool.worker.children import Children
from unspool.worker.function_routes import ROUTED_QUEUES, FunctionRoutes


def concerns(commit: Commit) -> bool:
    """Whether a commit may name something. Each step asks this."""
    if commit.outgoing:
        return True
    for task in commit.tasks:  # noqa: SIM110 - a generator would cost each step more than the loop
        if task.queue in ROUTED_QUEUES:
            return True
    return False


class Resolution:
    """Resolves the sub-workflows that commits start, and the functions that they call."""

    def __init__(self, children: Children, functions: FunctionRoutes) -> None:
        self._children = children
        self._functions = functions

    async def resolve(self, commit: Commit) -> Commit:
        """The commit with everything resolved. Raises `StartRefused`."""
        return await self._functions.route(await self._children.resolve(commit))

    async def resolve_at_once(self, commit: Commit) -> Commit | None:
        """The same; None if something must be read first, or `resolve` would raise."""
        resolved = await self._children.resolve_at_once(commit)
        return None if resolved is None else self._functions.at_once(resolved)
