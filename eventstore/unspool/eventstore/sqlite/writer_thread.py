"""The writing thread of a file that other processes write to, too: it detects their commits.

SQLite has no notifications. `PRAGMA data_version` changes with each commit of another connection and costs a
few microseconds, so the thread reads it every few milliseconds while there are subscribers.
"""

import sqlite3
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.sqlite.connection_thread import ConnectionThread
from unspool.eventstore.sqlite.notifications import Notifications
from unspool.eventstore.sqlite.outages import WriteOutages

POLL_SECONDS: Final = 0.01
BUSY_POLL_SECONDS: Final = 0.002
"""The poll interval while other processes write: their next commit is likely soon."""

_BUSY_SECONDS: Final = 0.1

_ENTRIES_SINCE: Final = "SELECT number, tenant, execution FROM history WHERE number > ? ORDER BY number"


class WriterThread(ConnectionThread):
    """A connection thread that also notifies subscribers of the commits of other processes."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], sqlite3.Connection],
        synchronous: str,
        notifications: Notifications,
        outages: WriteOutages,
    ) -> None:
        super().__init__(name, "BEGIN IMMEDIATE", connect, notifications.notify)
        self._synchronous = self._synchronous_now = synchronous
        self._notifications = notifications
        self._outages = outages
        self._polled_at = 0.0
        self._changed_at = 0.0
        self._polled_before = False
        self._data_version = 0
        self._newest_entry = 0

    def opened(self, connection: sqlite3.Connection) -> None:
        """Keeps the connection: its `data_version` does not change with this process's own commits."""
        self._connection = connection

    def begin(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        """Begins a transaction with the durability it needs.

        The next durable commit also syncs all commits before it: the log is written in order.
        """
        synchronous = self._synchronous if durable else "normal"
        if synchronous != self._synchronous_now:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous_now = synchronous
        self._outages.attempt()
        super().begin(connection, durable=durable)
        self._outages.success()  # a wait for the lock is an outage for the calls of this transaction
        self._outages.attempt()

    def ended(self, error: Exception | None) -> None:
        """Records the end of an outage, unless the file is unavailable."""
        if not isinstance(error, StoreUnavailable):
            self._outages.success()

    def poll_interval(self) -> float | None:
        """Polls only while there are subscribers."""
        return self._interval() if self._notifications.has_subscribers else None

    def after_group(self) -> None:
        """Polls for commits of other processes, if the interval since the last poll is over."""
        if not self._notifications.has_subscribers:
            self._polled_before = False
        elif not self._polled_before or time.monotonic() - self._polled_at >= self._interval():
            self._poll()
            self._polled_at = time.monotonic()
            self._polled_before = True

    def _interval(self) -> float:
        others_write = time.monotonic() - self._changed_at < _BUSY_SECONDS
        return BUSY_POLL_SECONDS if others_write else POLL_SECONDS

    def _poll(self) -> None:
        # An error is dropped: each subscriber queries again when its time is over, and gets the error then.
        with suppress(sqlite3.Error):
            [data_version] = self._connection.execute("PRAGMA data_version").fetchone()
            if not self._polled_before:
                # What changed since the last subscriber left is unknown, so every subscriber queries again.
                self._skip_to_newest_entry()
                self.post(self._notifications.notify_all)
            elif data_version != self._data_version:
                self._changed_at = time.monotonic()
                self.post(self._notifications.notify_external, self._executions_changed())
            self._data_version = data_version

    def _skip_to_newest_entry(self) -> None:
        [newest] = self._connection.execute("SELECT max(number) FROM history").fetchone()
        self._newest_entry = newest or 0

    def _executions_changed(self) -> frozenset[Hashable]:
        rows = self._connection.execute(_ENTRIES_SINCE, (self._newest_entry,)).fetchall()
        if rows:
            self._newest_entry = rows[-1][0]
        return frozenset(ExecutionKey(tenant, execution) for _, tenant, execution in rows)
