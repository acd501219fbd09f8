"""Resolves the sub-workflows that a commit starts: their versions, their ids, and whether they may start.

This is done after the decision and before the commit, because `decide` does no I/O. A sub-workflow that
cannot start becomes a `child.ended` message to the execution itself, so a replay sees no difference. If its
task does not wait for it, the messages must be decided again: `StartRefused` has the errors.

A sub-workflow with an idempotency key may be an execution that was started elsewhere. So an execution that
awaits it also sends it a `join` message, and learns its id from a `child.joined` message.
"""

import asyncio
from dataclasses import replace
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.tasks.run_workflow import LATEST
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Message,
    MessageKind,
    Outgoing,
    Parent,
    SendMessage,
    Start,
    StartExecution,
    Status,
    WorkflowRef,
)
from unspool.worker.idempotency_keys import IdempotencyKeys, NoKey
from unspool.worker.interpreter.extended import Stage
from unspool.worker.interpreter.tasks.run_workflow import NO_KEY, TOO_DEEP, UNKNOWN

_Resolved = tuple[Outgoing | Message, ...]
"""What is for other executions, and messages to the execution itself."""


class StartRefused(Exception):
    """Sub-workflows that no task waits for cannot start."""

    def __init__(self, errors: dict[WorkflowRef, WorkflowError]) -> None:
        """Takes the errors by the workflows, as the definition names them."""
        super().__init__(", ".join(map(str, errors)))
        self.errors = errors


class Children:
    """Resolves sub-workflows."""

    def __init__(self, store: EventStore, keys: IdempotencyKeys, max_depth: int, error_base: str) -> None:
        self._store = store
        self._keys = keys
        self._max_depth = max_depth
        self._error_base = error_base

    async def resolve(self, commit: Commit) -> Commit:
        """The commit with the versions and ids of the sub-workflows that it starts. Raises `StartRefused`."""
        if not _starts_any(commit):
            return commit
        return await self._with_ids(commit, await self._with_versions(commit))

    async def resolve_at_once(self, commit: Commit) -> Commit | None:
        """The same; None if a definition must be read first, an expression needs a jq process, or a
        sub-workflow that no task waits for cannot start.
        """
        if not _starts_any(commit):
            return commit
        try:
            outgoing = await self._with_versions(commit)
        except StartRefused:
            return None
        for each in outgoing:
            if isinstance(each, StartExecution) and not self._keys.resolves_at_once(
                commit.key.tenant, each.start.workflow
            ):
                return None
        try:
            return await self._with_ids(commit, outgoing)
        except StartRefused:
            return None

    async def _with_versions(self, commit: Commit) -> _Resolved:
        """What the commit sends, with versions, in the same order. Raises `StartRefused`."""
        found = await asyncio.gather(*(self._with_version(each) for each in commit.outgoing))
        refused = [each for each in found if isinstance(each, _Refused)]
        unawaited = {each.start.workflow: each.error for each in refused if not _awaits(commit, each.parent)}
        if unawaited:
            raise StartRefused(unawaited)
        return tuple(self._end_of(each) if isinstance(each, _Refused) else each for each in found)

    async def _with_version(self, outgoing: Outgoing) -> "Outgoing | _Refused":
        if not isinstance(outgoing, StartExecution):
            return outgoing
        start = outgoing.start
        namespace, name, version = start.workflow
        if start.parent is not None and start.parent.depth > self._max_depth:
            return _Refused(start, errors.configuration(_TOO_DEEP_DETAIL.format(self._max_depth), TOO_DEEP))
        found = await self._store.resolve(
            start.key.tenant, namespace, name, None if version == LATEST else version
        )
        if found is None:
            return _Refused(start, errors.configuration(f"there is no workflow {start.workflow}", UNKNOWN))
        return StartExecution(replace(start, workflow=found))

    async def _with_ids(self, commit: Commit, resolved: _Resolved) -> Commit:
        """The commit with the ids of what it starts. Raises `StartRefused`."""
        asked_for = zip(resolved, commit.outgoing, strict=True)
        parts = await asyncio.gather(*(self._with_id(commit, each, asked) for each, asked in asked_for))
        flat = [each for part in parts for each in part]
        to_itself = tuple(each for each in flat if isinstance(each, Message))
        outgoing = tuple(each for each in flat if not isinstance(each, Message))
        return replace(commit, outgoing=outgoing, messages=(*commit.messages, *to_itself))

    async def _with_id(self, commit: Commit, each: Outgoing | Message, asked: Outgoing) -> _Resolved:
        """A start with its id; `asked` names the workflow as the definition does. Raises `StartRefused`."""
        if not isinstance(each, StartExecution) or not isinstance(asked, StartExecution):
            return (each,)
        child, parent = each.start.key.id, each.start.parent
        try:
            start = await self._keys.resolve(each.start)
        except NoKey as cause:
            refused = _Refused(each.start, errors.expression(str(cause), NO_KEY))
            if not _awaits(commit, refused.parent):
                raise StartRefused({asked.start.workflow: refused.error}) from cause
            return (self._end_of(refused),)
        if start.idempotency_key is None or parent is None or not _awaits(commit, parent):
            return (StartExecution(start),)
        join = {"execution": parent.execution, "run": parent.run, "child": child}
        outgoing = (StartExecution(start), SendMessage(Message(MessageKind.JOIN, start.key.id, join)))
        if start.key.id == child:
            return outgoing
        joined = {"run": parent.run, "child": child, "execution": start.key.id}
        return (*outgoing, Message(MessageKind.CHILD_JOINED, parent.execution, joined))

    def _end_of(self, refused: "_Refused") -> Message:
        """The message that a sub-workflow sends when it faults with this error."""
        body = {
            "run": refused.parent.run,
            "child": refused.start.key.id,
            "status": Status.FAULTED.value,
            "error": refused.error.under(self._error_base).to_json(),
            "started": False,
        }
        return Message(MessageKind.CHILD_ENDED, refused.parent.execution, body)


class _Refused(NamedTuple):
    """A sub-workflow that cannot start."""

    start: Start
    error: WorkflowError

    @property
    def parent(self) -> Parent:
        assert self.start.parent is not None  # only sub-workflows are started by commits
        return self.start.parent


def _starts_any(commit: Commit) -> bool:
    return any(isinstance(each, StartExecution) for each in commit.outgoing)


def _awaits(commit: Commit, parent: Parent) -> bool:
    """Whether a task waits for its sub-workflow.

    A task that does not has completed in the same commit, or its `after` lists have begun.
    """
    return not any(
        event.type == "task.completed" or event.data.get("stage") == Stage.AFTER
        for event in commit.events
        if event.run == parent.run
    )


_TOO_DEEP_DETAIL: Final = "sub-workflows are nested deeper than {} (UNSPOOL_MAX_DEPTH)"
