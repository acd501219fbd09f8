"""Resolves the sub-workflows that a commit starts: their versions, and whether they may start.

This is done after the decision and before the commit, because `decide` does no I/O. A sub-workflow that
cannot start becomes a `child.ended` message to the execution itself, so a replay sees no difference.
"""

import asyncio
from dataclasses import replace
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.tasks.run_workflow import LATEST
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import (
    Commit,
    Message,
    MessageKind,
    Outgoing,
    Start,
    StartExecution,
    Status,
)


class Children:
    """Resolves sub-workflows."""

    def __init__(self, store: Definitions, max_depth: int, error_base: str) -> None:
        self._store = store
        self._max_depth = max_depth
        self._error_base = error_base

    async def resolve(self, commit: Commit) -> Commit:
        """The commit with the versions of the sub-workflows that it starts."""
        if not any(isinstance(each, StartExecution) for each in commit.outgoing):
            return commit
        resolved = await asyncio.gather(*(self._resolve(each) for each in commit.outgoing))
        refused = tuple(each for each in resolved if isinstance(each, Message))
        outgoing = tuple(each for each in resolved if not isinstance(each, Message))
        return replace(commit, outgoing=outgoing, messages=(*commit.messages, *refused))

    async def _resolve(self, outgoing: Outgoing) -> Outgoing | Message:
        if not isinstance(outgoing, StartExecution):
            return outgoing
        start = outgoing.start
        namespace, name, version = start.workflow
        if start.parent is not None and start.parent.depth > self._max_depth:
            return self._refused(start, errors.configuration(_TOO_DEEP.format(self._max_depth), "Too deep"))
        found = await self._store.resolve(
            start.key.tenant, namespace, name, None if version == LATEST else version
        )
        if found is None:
            error = errors.configuration(f"there is no workflow {start.workflow}", "Unknown workflow")
            return self._refused(start, error)
        return StartExecution(replace(start, workflow=found))

    def _refused(self, start: Start, error: WorkflowError) -> Message:
        assert start.parent is not None  # only sub-workflows are started by commits
        body = {
            "run": start.parent.run,
            "child": start.key.id,
            "status": Status.FAULTED.value,
            "error": error.under(self._error_base).to_json(),
        }
        return Message(MessageKind.CHILD_ENDED, start.parent.execution, body)


_TOO_DEEP: Final = "sub-workflows are nested deeper than {} (UNSPOOL_MAX_DEPTH)"
