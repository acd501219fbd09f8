"""What all facets of the store share: two lanes to one database, the bells, the clocks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TypeVar

from unspool.eventstore.clock import Clock
from unspool.eventstore.sqlite.file import connect, connect_reader
from unspool.eventstore.sqlite.lane import Lane, Look, Work
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.shared_file import SharedFileLane
from unspool.eventstore.sqlite.wakeups import Wakeups, rung_within

Result = TypeVar("Result")


class Database:
    """One database: a file with a lane for writing and one for reading, or memory with a single lane."""

    def __init__(
        self, path: Path | None, settings: SqliteSettings, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic
        self.wakeups = Wakeups(self._nudge)
        prepare = partial(connect, path, settings)
        if path is None:
            self._writing = self._reading = Lane("sqlite://", "BEGIN", prepare, self.wakeups.ring)
        else:
            place = f"sqlite:///{path}"
            self._writing = SharedFileLane(place, prepare, settings.synchronous, self.wakeups)
            self._reading = Lane(place, "BEGIN", partial(connect_reader, path, settings), _no_news)

    async def open(self) -> None:
        """Opens the lanes, the writing one first: it makes the tables.

        Raises:
            StoreMismatch: the file is not ours or has another layout.
            StoreUnavailable: it cannot be opened.
        """
        await self._writing.open()
        if self._reading is not self._writing:
            try:
                await self._reading.open()
            except BaseException:
                await self._writing.close()
                raise

    async def close(self) -> None:
        """Closes the lanes and wakes whoever waits, to find them closed."""
        await self._reading.close()
        await self._writing.close()
        self.wakeups.ring_all()

    def write(
        self, work: Work[Result], look: Look | None = None, *, lasting: bool = True
    ) -> asyncio.Future[Result]:
        """Does something in a transaction that may write, together with what others want to write.

        What is not `lasting` may be undone by a power loss, though not by a crash of the process: leases,
        signs of life, and all that comes to the same when it is done again. It costs no write to the disk.
        """
        return self._writing.submit(work, look, lasting=lasting)

    def read(self, work: Work[Result]) -> asyncio.Future[Result]:
        """Does something in a transaction that only reads; it sees every write that was awaited before."""
        return self._reading.submit(work)

    async def sought(
        self, seek: Callable[[], Awaitable[Result]], topics: frozenset[Hashable], seconds: float
    ) -> Result:
        """Seeks until something is found or the time is over, whenever there is news on one of the topics."""
        found = await seek()
        if found or seconds <= 0:
            return found
        give_up_at = time.monotonic() + seconds
        with self.wakeups.listening(*topics) as bell:
            while not (found := await seek()):
                if not await rung_within(bell, give_up_at - time.monotonic()):
                    break
        return found

    def _nudge(self) -> None:
        self._writing.nudge()


def _no_news(_: set[Hashable]) -> None:
    """A lane that only reads has none."""
