"""The writing lane of a file that other processes may write to as well: it notices what they did.

SQLite has no notifications. `PRAGMA data_version` changes with every commit made on another connection and
costs a few microseconds, so the writing thread looks at it every few milliseconds while somebody listens.
"""

import sqlite3
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.sqlite.lane import Lane
from unspool.eventstore.sqlite.wakeups import Wakeups

LOOK_SECONDS: Final = 0.01
QUICK_LOOK_SECONDS: Final = 0.002
"""Between looks while others are at work: who has just answered will soon be asked again."""

_AT_WORK_SECONDS: Final = 0.1

_ENTRIES_SINCE: Final = "SELECT number, tenant, execution FROM history WHERE number > ? ORDER BY number"


class SharedFileLane(Lane):
    """A lane that rings the listeners' bells when another process has committed something."""

    def __init__(
        self, place: str, connect: Callable[[], sqlite3.Connection], synchronous: str, wakeups: Wakeups
    ) -> None:
        super().__init__(place, "BEGIN IMMEDIATE", connect, wakeups.ring)
        self._synchronous = self._synchronous_now = synchronous
        self._wakeups = wakeups
        self._looked_at = 0.0
        self._changed_at = 0.0
        self._looked_before = False
        self._data_version = 0
        self._newest_entry = 0

    def opened(self, connection: sqlite3.Connection) -> None:
        """Keeps the connection: only the one that writes is not told of this process's own commits."""
        self._connection = connection

    def begin(self, connection: sqlite3.Connection, *, lasting: bool) -> None:
        """Begins a transaction that is as sure as it has to be.

        The next lasting one takes all before it to the disk, too: the log is written in order.
        """
        wanted = self._synchronous if lasting else "normal"
        if wanted != self._synchronous_now:
            connection.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous_now = wanted
        super().begin(connection, lasting=lasting)

    def patience(self) -> float | None:
        """Looks are due only while somebody listens."""
        return self._pause() if self._wakeups.heard else None

    def between_groups(self) -> None:
        """Looks whether others have committed, unless it has just been done."""
        if not self._wakeups.heard:
            self._looked_before = False
        elif not self._looked_before or time.monotonic() - self._looked_at >= self._pause():
            self._look()
            self._looked_at = time.monotonic()
            self._looked_before = True

    def _pause(self) -> float:
        others_at_work = time.monotonic() - self._changed_at < _AT_WORK_SECONDS
        return QUICK_LOOK_SECONDS if others_at_work else LOOK_SECONDS

    def _look(self) -> None:
        # An error here is for nobody: whoever listens looks again when his time is over, and is told then.
        with suppress(sqlite3.Error):
            [data_version] = self._connection.execute("PRAGMA data_version").fetchone()
            if not self._looked_before:
                # What was missed since the last listener is unknown: everybody has to look.
                self._skip_to_newest_entry()
                self.post(self._wakeups.ring_all)
            elif data_version != self._data_version:
                self._changed_at = time.monotonic()
                self.post(self._wakeups.ring_others, self._executions_changed())
            self._data_version = data_version

    def _skip_to_newest_entry(self) -> None:
        [newest] = self._connection.execute("SELECT max(number) FROM history").fetchone()
        self._newest_entry = newest or 0

    def _executions_changed(self) -> frozenset[Hashable]:
        rows = self._connection.execute(_ENTRIES_SINCE, (self._newest_entry,)).fetchall()
        if rows:
            self._newest_entry = rows[-1][0]
        return frozenset(ExecutionKey(tenant, execution) for _, tenant, execution in rows)
