"""Resolves the sub-workflows that a commit starts: their versions, their ids, and whether they may start.

This is done after the decision and before the commit, because `decide` does no I/O. A sub-workflow that
cannot start becomes a `child.ended` message to the execution itself, so a replay sees no difference. If its
task does not wait for it, the messages must be decided again: `StartRefused` has the errors.

A sub-workflow with an idempotency key may be an execution that was started elsewhere. So an execution that
awaits it also sends it a `join` message, and learns its id from a `child.joined` message.
"""

import asyncio
from collections.abc import Sequence
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
)
from unspool.worker.idempotency_keys import IdempotencyKeys, NoKey
from unspool.worker.interpreter.extended import Stage
from unspool.worker.interpreter.tasks.run_workflow import NO_KEY, TOO_DEEP, UNKNOWN
from unspool.worker.refused_starts import Refusal, StartRefused


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
        found = await self._with_versions(commit)
        if not all(map(self._has_key_at_once, found)):
            return None
        try:
            return await self._with_ids(commit, found)
        except StartRefused:
            return None

    async def _with_versions(self, commit: Commit) -> "list[Outgoing | _Refused]":
        """What the commit sends, in the same order, with versions."""
        return await asyncio.gather(*map(self._with_version, commit.outgoing))

    async def _with_version(self, outgoing: Outgoing) -> "Outgoing | _Refused":
        if not isinstance(outgoing, StartExecution):
            return outgoing
        start = outgoing.start
        namespace, name, version = start.workflow
        why = Refusal(start.workflow)
        if start.parent is not None and start.parent.depth > self._max_depth:
            error = errors.configuration(_TOO_DEEP_DETAIL.format(self._max_depth), TOO_DEEP)
            return _Refused(start, why, error)
        found = await self._store.resolve(
            start.key.tenant, namespace, name, None if version == LATEST else version
        )
        if found is None:
            return _Refused(
                start, why, errors.configuration(f"there is no workflow {start.workflow}", UNKNOWN)
            )
        return StartExecution(replace(start, workflow=found))

    def _has_key_at_once(self, each: "Outgoing | _Refused") -> bool:
        return not isinstance(each, StartExecution) or self._keys.resolves_at_once(
            each.start.key.tenant, each.start.workflow
        )

    async def _with_ids(self, commit: Commit, found: "Sequence[Outgoing | _Refused]") -> Commit:
        """The commit with the ids of what it starts. Raises `StartRefused`, before any key is claimed."""
        keyed = await asyncio.gather(*map(self._with_key, found, commit.outgoing))
        refused = [each for each in keyed if isinstance(each, _Refused)]
        unawaited = {each.why: each.error for each in refused if not _awaits(commit, each.parent)}
        if unawaited:
            raise StartRefused(unawaited)
        parts = await asyncio.gather(*(self._with_id(commit, each) for each in keyed))
        flat = [each for part in parts for each in part]
        to_itself = tuple(each for each in flat if isinstance(each, Message))
        outgoing = tuple(each for each in flat if not isinstance(each, Message))
        return replace(commit, outgoing=outgoing, messages=(*commit.messages, *to_itself))

    async def _with_key(self, each: "Outgoing | _Refused", asked: Outgoing) -> "Outgoing | _Refused":
        """A start with its key; `asked` names the workflow as the definition does."""
        if not isinstance(each, StartExecution) or not isinstance(asked, StartExecution):
            return each
        try:
            return StartExecution(await self._keys.with_key(each.start))
        except NoKey as cause:
            why = Refusal.of_input(asked.start.workflow, each.start.input)
            return _Refused(each.start, why, errors.expression(str(cause), NO_KEY))

    async def _with_id(self, commit: Commit, each: "Outgoing | _Refused") -> tuple[Outgoing | Message, ...]:
        """What is for other executions, and messages to the execution itself."""
        if isinstance(each, _Refused):
            return (self._end_of(each),)
        if not isinstance(each, StartExecution):
            return (each,)
        child, parent = each.start.key.id, each.start.parent
        start = await self._keys.claim(each.start)
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
    why: Refusal
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
