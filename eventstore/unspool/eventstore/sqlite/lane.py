"""A thread with a connection of its own, on which calls are made in groups: one transaction for each group.

What the event loop asks for in one tick, and all that comes in while the thread is busy, is done in one
transaction and so shares one write to the disk. A call that fails takes none of its group with it.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Hashable
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple, TypeVar

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.sqlite.faults import as_store_error

Result = TypeVar("Result")

LARGEST_GROUP: Final = 512
"""Calls done in one transaction at most, so that nobody waits long for a reply."""


class Transaction:
    """What a call works with: the connection, within a transaction, and the topics it has news for.

    A call may be made again from the start after its transaction was rolled back.
    """

    __slots__ = ("execute", "executemany", "news")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.news: set[Hashable] = set()


Work = Callable[[Transaction], Result]


class Look(NamedTuple):
    """A query asked before a transaction begins; if it finds nothing, its call comes to [] without one."""

    sql: str
    parameters: tuple[Any, ...] = ()


class _Call(NamedTuple):
    work: Work[Any]
    look: Look | None
    lasting: bool
    future: asyncio.Future[Any]


class _Reply(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: Exception | None


class Lane:
    """The thread and its queue. All methods are for the event loop's thread unless they say otherwise."""

    def __init__(
        self,
        place: str,
        begin: str,
        connect: Callable[[], sqlite3.Connection],
        tell: Callable[[set[Hashable]], None],
    ) -> None:
        """Nothing is opened yet.

        Args:
            place: names the store in errors.
            begin: the statement that begins a transaction.
            connect: makes the connection; called in the new thread.
            tell: is told, in the event loop's thread, what a group of calls had news for.
        """
        self._place = place
        self._begin = begin
        self._connect = connect
        self._tell = tell
        self._tick: list[_Call] = []
        self._queue: queue.SimpleQueue[list[_Call]] = queue.SimpleQueue()
        self._backlog: list[_Call] = []
        self._open = False
        self._closing = False

    async def open(self) -> None:
        """Starts the thread and connects.

        Raises:
            StoreError: it cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        connected: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(connected,), name=f"unspool {self._place}", daemon=True
        )
        self._thread.start()
        await connected
        self._open = True

    async def close(self) -> None:
        """Ends the thread after the group it is busy with; what waits behind that fails."""
        if self._open:
            self._open = False
            self._closing = True
            self._hand_over()
            await self._ended
            self._thread.join()  # it has nothing left to do

    def nudge(self) -> None:
        """Makes the thread look up."""
        self._queue.put([])

    def submit(
        self, work: Work[Result], look: Look | None = None, *, lasting: bool = True
    ) -> asyncio.Future[Result]:
        """Has a call made in the thread.

        Args:
            work: the call.
            look: asked first; if it finds nothing the call is not made.
            lasting: whether the call's effect must outlast a power loss.

        Raises:
            StoreUnavailable: the lane is closed.
        """
        if not self._open:
            raise self._closed()
        future = self._loop.create_future()
        if not self._tick:
            self._loop.call_soon(self._hand_over)
        self._tick.append(_Call(work, look, lasting, future))
        return future

    def _hand_over(self) -> None:
        self._queue.put(self._tick)
        self._tick = []

    def _settle(self, replies: list[_Reply], news: set[Hashable]) -> None:
        for future, result, error in replies:
            if future.done():  # whoever called has been cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._tell(news)

    # From here on: in the lane's own thread.

    def patience(self) -> float | None:
        """Seconds to wait for calls before `between_groups` is due; None if it is due after groups only."""
        return None

    def opened(self, connection: sqlite3.Connection) -> None:
        """Called once the connection is there."""

    def begin(self, connection: sqlite3.Connection, *, lasting: bool) -> None:  # noqa: ARG002 - for heirs
        """Begins a transaction."""
        connection.execute(self._begin)

    def between_groups(self) -> None:
        """Called, with no transaction open, after every group and whenever patience ends."""

    def post(self, callback: Callable[..., None], *arguments: object) -> None:
        """Has something called in the event loop's thread."""
        with suppress(RuntimeError):  # the loop was closed and nobody waits for anything any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _run(self, connected: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - handed to whoever opens the store
            self.post(self._settle, [_Reply(connected, None, self._translated(error))], set())
            return
        with closing(connection):
            self.opened(connection)
            self.post(self._settle, [_Reply(connected, None, None)], set())
            self._serve(connection)
        self.post(self._settle, [_Reply(self._ended, None, None)], set())

    def _serve(self, connection: sqlite3.Connection) -> None:
        while True:
            group = self._next_group()
            if self._closing:
                break
            if group:
                news: set[Hashable] = set()
                replies = self._replies(connection, group, news)
                self.post(self._settle, replies, news)
            self.between_groups()
        closed = [_Reply(call.future, None, self._closed()) for call in group + self._backlog]
        self.post(self._settle, closed, set())

    def _next_group(self) -> list[_Call]:
        with suppress(queue.Empty):
            if not self._backlog:
                self._backlog += self._queue.get(timeout=self.patience())
            while True:
                self._backlog += self._queue.get_nowait()
        group = self._backlog[:LARGEST_GROUP]
        del self._backlog[:LARGEST_GROUP]
        return group

    def _replies(
        self, connection: sqlite3.Connection, calls: list[_Call], news: set[Hashable]
    ) -> list[_Reply]:
        try:
            return self._together(connection, calls, news)
        except Exception as error:  # noqa: BLE001 - handed to whoever called
            _roll_back(connection)
            if len(calls) == 1 or isinstance(self._translated(error), StoreUnavailable):
                return [_Reply(call.future, None, self._translated(error)) for call in calls]
        # One of them is at fault: halving finds it, and the others are made true without it.
        middle = len(calls) // 2
        return [
            *self._replies(connection, calls[:middle], news),
            *self._replies(connection, calls[middle:], news),
        ]

    def _together(
        self, connection: sqlite3.Connection, calls: list[_Call], news: set[Hashable]
    ) -> list[_Reply]:
        replies: list[_Reply] = []
        due: list[_Call] = []
        for call in calls:
            if call.look is None or connection.execute(*call.look).fetchone():
                due.append(call)
            else:
                replies.append(_Reply(call.future, [], None))
        if due:
            transaction = Transaction(connection)
            self.begin(connection, lasting=any(call.lasting for call in due))
            replies += [_Reply(call.future, call.work(transaction), None) for call in due]
            connection.execute("COMMIT")
            news |= transaction.news
        return replies

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._place} is closed")

    def _translated(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        translated = as_store_error(error, self._place)
        translated.__cause__ = error
        return translated


def _roll_back(connection: sqlite3.Connection) -> None:
    # After some faults SQLite has done it already. If it cannot, the next group fails and it is tried again.
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
