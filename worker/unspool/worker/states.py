"""The states of executions: from memory if they are there, else from a snapshot and the history after it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from unspool.eventstore.errors import StoreError
from unspool.eventstore.port import Histories
from unspool.eventstore.records import (
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Snapshot,
    Start,
    WorkflowRef,
    start_message,
)
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state


@dataclass(frozen=True, slots=True)
class Remembered:
    """An execution as far as its history was read or written by this worker."""

    workflow: WorkflowRef
    state: State
    snapshot_version: int
    """Up to where the newest snapshot reaches."""
    opening: Message | None = None
    """The message that begins the execution, as long as nothing has."""


class States:
    """A bounded cache over histories. What it says may be outdated; then a commit conflicts."""

    def __init__(self, store: Histories, most: int, snapshot_every: int) -> None:
        self._store = store
        self._most = most
        self._snapshot_every = snapshot_every
        self._states: OrderedDict[ExecutionKey, Remembered] = OrderedDict()

    def recall(self, key: ExecutionKey) -> Remembered | None:
        """What is in memory."""
        found = self._states.get(key)
        if found is not None:
            self._states.move_to_end(key)
        return found

    async def load(self, key: ExecutionKey) -> Remembered | None:
        """What is stored; None for an execution that does not exist.

        Raises:
            CorruptHistory: its history cannot be read.
        """
        record, snapshot = await asyncio.gather(self._store.execution(key), self._store.snapshot(key))
        if record is None:
            return None
        kept = load_state(snapshot.state) if snapshot is not None else None
        state = kept if kept is not None else State(key.id)
        state = fold(state, await self._store.history(key, after=state.version))
        return Remembered(
            record.workflow,
            state,
            snapshot_version=kept.version if kept is not None else 0,
            opening=_opening(record) if state.version == 0 else None,
        )

    def remember(self, key: ExecutionKey, remembered: Remembered) -> None:
        """Keeps a state that is now the newest."""
        if remembered.state.status.ended:
            self.forget(key)
            return
        self._states[key] = remembered
        self._states.move_to_end(key)
        if len(self._states) > self._most:
            self._states.popitem(last=False)

    def outgrown(self, remembered: Remembered) -> bool:
        """Whether the history has grown so much since the last snapshot that it is time for another."""
        state = remembered.state
        return state.version - remembered.snapshot_version >= self._snapshot_every and not state.status.ended

    async def put_snapshot(self, key: ExecutionKey, remembered: Remembered) -> None:
        """Keeps a snapshot beside the history. It only saves work: if it fails, the next step tries again."""
        state = remembered.state
        with suppress(StoreError):
            await self._store.put_snapshot(key, Snapshot(state.version, dump_state(state)))
            if self._states.get(key) is remembered:
                self._states[key] = Remembered(remembered.workflow, state, state.version)

    def forget(self, key: ExecutionKey) -> None:
        """Drops what turned out to be outdated, or will not be needed."""
        self._states.pop(key, None)


def just_starting(key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> Remembered | None:
    """An execution whose first message is here: it tells the whole story, unless it was overtaken."""
    first = deliveries[0]
    if first.body.kind is not MessageKind.START:
        return None
    return Remembered(WorkflowRef(*first.body.body["workflow"]), State(key.id), 0)


def _opening(record: ExecutionRecord) -> Message:
    return start_message(Start(record.key, record.workflow, record.pending_input, record.created_at))
