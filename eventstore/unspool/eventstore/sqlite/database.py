"""The parts that all mixins of the store share: connection threads, notifications and clocks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TypeVar

from unspool.eventstore.clock import Clock
from unspool.eventstore.sqlite.connection_thread import ConnectionThread, Precheck, Work
from unspool.eventstore.sqlite.file import connect, connect_reader
from unspool.eventstore.sqlite.notifications import Notifications, is_set_within
from unspool.eventstore.sqlite.outages import WriteOutages
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.writer_thread import WriterThread

Result = TypeVar("Result")


class Database:
    """One database: a file with a writing and a reading thread, or memory with one thread for both."""

    def __init__(
        self, path: Path | None, settings: SqliteSettings, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self.path = path
        """None for a database in memory."""
        self.clock = clock
        self.monotonic = monotonic
        self.outages = WriteOutages(monotonic)
        self.notifications = Notifications(self._wake_writer)
        prepare = partial(connect, path, settings)
        if path is None:
            self._writer = self._reader = ConnectionThread(
                "sqlite://", "BEGIN", prepare, self.notifications.notify
            )
        else:
            name = f"sqlite:///{path}"
            self._writer = WriterThread(name, prepare, settings.synchronous, self.notifications, self.outages)
            self._reader = ConnectionThread(
                name, "BEGIN", partial(connect_reader, path, settings), _ignore_topics
            )

    async def open(self) -> None:
        """Opens the connections, the writing one first: it creates the tables.

        Raises:
            StoreMismatch: the file belongs to another program or has another layout.
            StoreUnavailable: it cannot be opened.
        """
        await self._writer.open()
        if self._reader is not self._writer:
            try:
                await self._reader.open()
            except BaseException:
                await self._writer.close()
                raise

    async def close(self) -> None:
        """Closes the connections and wakes all waiting calls, which then raise `StoreUnavailable`."""
        try:
            await self._reader.close()
        finally:  # also when the call is cancelled
            await self._writer.close()
            self.notifications.notify_all()

    def write(
        self, work: Work[Result], precheck: Precheck | None = None, *, durable: bool = True
    ) -> asyncio.Future[Result]:
        """Runs a call in a transaction that may write; concurrent calls share the transaction.

        A power loss may undo a write that is not `durable`; a crash of the process does not. Such a write
        needs no sync to the disk. Use it for leases, heartbeats and other writes that can safely be repeated.
        """
        return self._writer.submit(work, precheck, durable=durable)

    def read(self, work: Work[Result]) -> asyncio.Future[Result]:
        """Runs a call in a read-only transaction; it sees every write that was awaited before."""
        return self._reader.submit(work)

    async def poll_until_found(
        self, query: Callable[[], Awaitable[Result]], topics: frozenset[Hashable], seconds: float
    ) -> Result:
        """Repeats a query after each notification of the topics, until it finds something or times out."""
        found = await query()
        if found or seconds <= 0:
            return found
        give_up_at = time.monotonic() + seconds
        with self.notifications.subscribed(*topics) as event:
            while not (found := await query()):
                if not await is_set_within(event, give_up_at - time.monotonic()):
                    break
        return found

    def _wake_writer(self) -> None:
        self._writer.wake()


def _ignore_topics(_: set[Hashable]) -> None:
    """A reading thread has no topics to notify."""
