"""Histories that were folded before: copies of their run logs in memory, as of some events.

A page moves through the events of an execution and asks for its state after many of them. Each request then
folds the events after the nearest copy, not the whole history.
"""

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

import orjson

from unspool.diagram.runs import RunLog, Wanted, no_run
from unspool.eventstore.port import Histories
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.worker.state_json import state_json

INTERVAL: Final = 1_000
"""Events between two copies, and events of one read from the store."""

MOST_BYTES: Final = 8 << 20
"""The size of all copies as JSON, about. In memory they take some times more."""

_RUN_BYTES: Final = 300


class _Name(NamedTuple):
    """Which copies belong together."""

    key: ExecutionKey
    created_at: int
    """Another execution with the same id was created at another time."""
    wanted: Wanted


class _Copy(NamedTuple):
    log: RunLog
    size: int


class FoldedHistories:
    """Folds histories up to an event. Keeps copies of those that are used most recently."""

    def __init__(self, store: Histories, most_bytes: int = MOST_BYTES) -> None:
        """Takes the store of the histories, and the size of all copies."""
        self._store = store
        self._most_bytes = most_bytes
        self._copies: OrderedDict[_Name, dict[int, _Copy]] = OrderedDict()
        self._bytes = 0

    async def log_at(self, record: ExecutionRecord, at: int, wanted: Wanted = no_run) -> RunLog | None:
        """Returns the runs of an execution as of event `at`, a log of the caller's own.

        Args:
            record: the execution.
            at: number of an event of its history; 0 for the time before the first.
            wanted: which runs are kept after they have ended. Equal values share copies.

        Returns:
            The log; None if the execution was deleted meanwhile.
        """
        name = _Name(record.key, record.created_at, wanted)
        log = self._nearest(name, at)
        while (version := log.state.version) < at:
            limit = min(INTERVAL - version % INTERVAL, at - version)
            events = await self._store.history(record.key, after=version, limit=limit)
            if not events:
                return None
            await asyncio.to_thread(log.add, events)
            if log.state.version % INTERVAL == 0:
                self._keep(name, await asyncio.to_thread(_copy_of, log))
        return log

    def _nearest(self, name: _Name, at: int) -> RunLog:
        """Returns a log as of the last event up to `at` that a copy has."""
        copies = self._copies.get(name, {})
        version = max((version for version in copies if version <= at), default=None)
        if version is None:
            return RunLog(name.key.id, name.wanted)
        self._copies.move_to_end(name)
        return copies[version].log.copy()

    def _keep(self, name: _Name, copy: _Copy) -> None:
        copies = self._copies.setdefault(name, {})
        self._copies.move_to_end(name)
        version = copy.log.state.version
        if version not in copies and copy.size <= self._most_bytes:
            copies[version] = copy
            self._bytes += copy.size
        while self._bytes > self._most_bytes:
            self._forget_some()

    def _forget_some(self) -> None:
        """Forgets what was not used for the longest time: all copies of an execution, or every other one."""
        name = next(iter(self._copies))
        copies = self._copies[name]
        forgotten = list(copies) if len(self._copies) > 1 else sorted(copies)[::2]
        self._bytes -= sum(copies.pop(version).size for version in forgotten)
        if not copies:
            del self._copies[name]


def _copy_of(log: RunLog) -> _Copy:
    return _Copy(log.copy(), len(orjson.dumps(state_json(log.state))) + _RUN_BYTES * len(log.runs))
