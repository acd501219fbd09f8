"""The states of executions: from memory if they are there, else from a snapshot and the history after it."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from unspool.eventstore.errors import StoreError
from unspool.eventstore.port import Histories
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Loaded,
    Message,
    MessageKind,
    Snapshot,
    Start,
    WorkflowRef,
    start_message,
)
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state

_PAGE: Final = 500
"""Entries of a history that are read with the first look at it."""

_SHORT: Final = 50
"""Entries of a history that are folded in passing."""

_ONE_STAYS_OF: Final = 8
"""Of so many executions that had to be loaded one is cached as if it had been in memory."""


@dataclass(frozen=True, slots=True)
class CachedState:
    """An execution as far as its history was read or written by this worker."""

    workflow: WorkflowRef
    state: State
    snapshot_version: int
    """Up to where the newest snapshot reaches."""
    commit_id: str | None = None
    """The commit that led to the state, if it is known."""
    opening: Message | None = None
    """The message that begins the execution, as long as nothing has."""


class StateCache:
    """A bounded cache over histories. A cached state may be outdated; then a commit conflicts."""

    def __init__(self, store: Histories, most: int, snapshot_every: int) -> None:
        self._store = store
        self._most = max(most, 1)
        self._snapshot_every = snapshot_every
        self._states: OrderedDict[ExecutionKey, CachedState] = OrderedDict()
        self._loads = count(1)

    def get(self, key: ExecutionKey) -> CachedState | None:
        """What is in memory."""
        found = self._states.get(key)
        if found is not None:
            self._states.move_to_end(key)
        return found

    async def load(self, key: ExecutionKey) -> CachedState | None:
        """What is stored; None for an execution that does not exist.

        Raises:
            CorruptHistory: its history cannot be read.
        """
        [loaded] = await self._store.load([key], _PAGE)
        if loaded is None:
            return None
        cached = cached_state_of(loaded)
        if cached.state.version == loaded.record.version:
            return cached
        later = await self._store.history(key, after=cached.state.version)
        return replace(cached, state=fold(cached.state, later))

    async def load_missing(self, keys: Iterable[ExecutionKey]) -> dict[ExecutionKey, Loaded]:
        """What is stored of those executions that are not in memory; of long histories the first entries.

        Raises:
            CorruptHistory: one of the histories cannot be read.
        """
        missing = [key for key in keys if key not in self._states]
        if not missing:
            return {}
        found = zip(missing, await self._store.load(missing, _SHORT), strict=True)
        return {key: loaded for key, loaded in found if loaded is not None}

    async def keep(self, commit: Commit, after: CachedState) -> None:
        """Keeps what a commit led to, and a snapshot of it now and then."""
        self._put(commit.key, after, begun=commit.expected_version > 0)
        if self._needs_snapshot(after):
            await self._put_snapshot(commit.key, after)

    def _put(self, key: ExecutionKey, cached: CachedState, *, begun: bool) -> None:
        """Makes a state the newest.

        The one unused for longest makes room. One that had to be loaded is mostly the next to go: if more
        executions than there is room for take turns, those in memory stay, instead of each pushing out the
        one that is needed soonest (Qureshi et al., "Adaptive Insertion Policies", 2007).

        Args:
            key: the execution.
            cached: its state.
            begun: whether it had a history before.
        """
        if cached.state.status.ended:
            self.forget(key)
            return
        known = key in self._states
        if not known and len(self._states) >= self._most:
            self._states.popitem(last=False)
        self._states[key] = cached
        self._states.move_to_end(key, last=known or not begun or next(self._loads) % _ONE_STAYS_OF == 0)

    def _needs_snapshot(self, cached: CachedState) -> bool:
        """Whether the history has grown so much since the last snapshot that it is time for another."""
        state = cached.state
        return state.version - cached.snapshot_version >= self._snapshot_every and not state.status.ended

    async def _put_snapshot(self, key: ExecutionKey, cached: CachedState) -> None:
        """Keeps a snapshot beside the history. It only saves work: if it fails, the next step tries again."""
        state = cached.state
        with suppress(StoreError, TypeError):  # the latter: nested too deep for JSON
            await self._store.put_snapshot(key, Snapshot(state.version, dump_state(state)))
            if self._states.get(key) is cached:
                self._states[key] = replace(cached, snapshot_version=state.version)

    def forget(self, key: ExecutionKey) -> None:
        """Drops what turned out to be outdated, or will not be needed."""
        self._states.pop(key, None)


def cached_state_of(loaded: Loaded) -> CachedState:
    """The execution as far as it was loaded. Raises `CorruptHistory`."""
    record, snapshot, events = loaded
    kept = load_state(snapshot.state) if snapshot is not None else None
    if kept is None:
        # The events after a snapshot that another release made are of no use without it.
        state = fold(State(record.key.id), events if snapshot is None else ())
    else:
        state = fold(kept, events)
    opening = _opening(record) if record.version == 0 else None
    snapshot_version = kept.version if kept is not None else 0
    commit_id = record.commit_id if record.version == state.version else None
    return CachedState(record.workflow, state, snapshot_version, commit_id, opening)


def starting_state(key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> CachedState | None:
    """The state of an execution whose first message is here, unless another worker took it further."""
    first = deliveries[0]
    if first.body.kind is not MessageKind.START:
        return None
    return CachedState(WorkflowRef(*first.body.body["workflow"]), State(key.id), 0)


def _opening(record: ExecutionRecord) -> Message:
    return start_message(
        Start(record.key, record.workflow, record.pending_input, record.created_at, record.parent)
    )
