"""The states of executions: from memory, or from a snapshot and the history after it."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from typing import Final, NamedTuple

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
from unspool.worker.cache_use import CacheUse
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.snapshot import dump_state, load_state

_PAGE: Final = 500
"""Entries of a history in the first read of single processing."""

_SHORT: Final = 50
"""Entries of a history that batch processing reads at most."""

_LOADS_PER_NEWEST: Final = 8
"""One of so many loaded states is kept as the newest; see `_put`."""


class CachedState(NamedTuple):
    """An execution as this worker knows it from the history that it has read or written."""

    workflow: WorkflowRef
    state: State
    snapshot_version: int
    """Version of the newest snapshot; 0 without one."""
    commit_id: str | None = None
    """The commit that led to the state, if it is known."""
    start: Message | None = None
    """The `start` message, while the history is empty."""


class StateCache:
    """A bounded cache over histories. A cached state may be outdated; then a commit conflicts."""

    def __init__(self, store: Histories, most: int, snapshot_every: int) -> None:
        self._store = store
        self._most = max(most, 1)
        self._snapshot_every = snapshot_every
        self._states: OrderedDict[ExecutionKey, CachedState] = OrderedDict()
        self._loads = count(1)
        self.use = CacheUse()

    def get(self, key: ExecutionKey) -> CachedState | None:
        """The state in memory; None if there is none."""
        found = self._states.get(key)
        if found is not None:
            self._states.move_to_end(key)
            self.use.hits += 1
        return found

    async def load(self, key: ExecutionKey) -> CachedState | None:
        """Reads the stored state; None for an execution that does not exist.

        Raises:
            CorruptHistory: its history cannot be read.
        """
        self.use.misses += 1
        [loaded] = await self._store.load([key], _PAGE)
        if loaded is None:
            return None
        cached = cached_state_of(loaded)
        if cached.state.version == loaded.record.version:
            return cached
        later = await self._store.history(key, after=cached.state.version)
        return cached._replace(state=fold(cached.state, later))

    def missing(self, keys: Iterable[ExecutionKey]) -> list[ExecutionKey]:
        """The executions that are not in memory."""
        return [key for key in keys if key not in self._states]

    async def load_short(self, missing: Sequence[ExecutionKey]) -> dict[ExecutionKey, Loaded]:
        """Reads executions that are not in memory; of a long history only the first entries.

        Raises:
            CorruptHistory: one of the histories cannot be read.
        """
        if not missing:
            return {}
        self.use.misses += len(missing)
        found = zip(missing, await self._store.load(missing, _SHORT), strict=True)
        return {key: loaded for key, loaded in found if loaded is not None}

    def keep(self, commit: Commit, after: CachedState) -> bool:
        """Keeps the state after a commit in memory. Returns whether a snapshot is due: see `put_snapshot`."""
        state = after.state
        if state.status.ended:
            self.forget(commit.key)
            return False
        self._put(commit.key, after, begun=commit.expected_version > 0)
        return state.version - after.snapshot_version >= self._snapshot_every

    def _put(self, key: ExecutionKey, cached: CachedState, *, begun: bool) -> None:
        """Makes a state the newest in the cache; if the cache is full, removes the least recently used one.

        Most states that had to be loaded become the oldest instead, so the next one replaces them. If more
        executions than fit into the cache are used in turn, the cached ones stay: otherwise each state would
        be removed before it is used again (Qureshi et al., "Adaptive Insertion Policies", 2007).

        Args:
            key: the execution.
            cached: its state.
            begun: whether it had a history before.
        """
        known = key in self._states
        if not known and len(self._states) >= self._most:
            self._states.popitem(last=False)
        self._states[key] = cached
        is_newest = known or not begun or next(self._loads) % _LOADS_PER_NEWEST == 0
        self._states.move_to_end(key, last=is_newest)

    async def put_snapshot(self, key: ExecutionKey, cached: CachedState) -> None:
        """Stores a snapshot. It only saves work, so errors are ignored: the next step tries again."""
        state = cached.state
        with suppress(StoreError, TypeError):  # TypeError: the state is nested too deep for JSON
            await self._store.put_snapshot(key, Snapshot(state.version, dump_state(state)))
            if self._states.get(key) is cached:
                self._states[key] = cached._replace(snapshot_version=state.version)

    def forget(self, key: ExecutionKey) -> None:
        """Removes a state that is outdated or no longer needed."""
        self._states.pop(key, None)


def cached_state_of(loaded: Loaded) -> CachedState:
    """The state of an execution from the loaded data. Raises `CorruptHistory`."""
    record, snapshot, events = loaded
    kept = load_state(snapshot.state) if snapshot is not None else None
    if kept is None:
        # If the snapshot cannot be read, the events after it cannot be folded: the state stays at version 0.
        state = fold(State(record.key.id), events if snapshot is None else ())
    else:
        state = fold(kept, events)
    start = _start_of(record) if record.version == 0 else None
    snapshot_version = kept.version if kept is not None else 0
    commit_id = record.commit_id if record.version == state.version else None
    return CachedState(record.workflow, state, snapshot_version, commit_id, start)


def starting_state(key: ExecutionKey, deliveries: Sequence[Delivery[Message]]) -> CachedState | None:
    """The empty state, if the first message is `start`. Another worker may have processed it already."""
    first = deliveries[0]
    if first.body.kind is not MessageKind.START:
        return None
    return CachedState(WorkflowRef(*first.body.body["workflow"]), State(key.id), 0)


def _start_of(record: ExecutionRecord) -> Message:
    return start_message(
        Start(
            record.key,
            record.workflow,
            record.pending_input,
            record.created_at,
            record.parent,
            record.idempotency_key,
            record.tags,
        )
    )
