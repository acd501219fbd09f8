"""A thread that owns one SQLite connection and runs calls in groups, one transaction per group.

A group is all calls submitted in one tick of the event loop and all calls that arrive while the thread is
busy. The calls of a group share one transaction, so they share one sync to the disk. A call that fails does
not affect the other calls of its group.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Hashable
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple, TypeVar

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.sqlite.errors import as_store_error

Result = TypeVar("Result")

LARGEST_GROUP: Final = 512
"""The most calls in one transaction; it bounds how long a reply takes."""


class Transaction:
    """The argument of a call: the connection, inside a transaction, and the topics to notify after it.

    If its transaction was rolled back, a call may run again from its start.
    """

    __slots__ = ("execute", "executemany", "topics")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.topics: set[Hashable] = set()


Work = Callable[[Transaction], Result]


class Precheck(NamedTuple):
    """A query that runs before a transaction begins. If it finds no row, its call returns [] without one."""

    sql: str
    parameters: tuple[Any, ...] = ()


class _Call(NamedTuple):
    work: Work[Any]
    precheck: Precheck | None
    durable: bool
    future: asyncio.Future[Any]


class _Reply(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: Exception | None


class ConnectionThread:
    """The thread and its queue. Call the methods from the event loop's thread unless they say otherwise."""

    def __init__(
        self,
        name: str,
        begin: str,
        connect: Callable[[], sqlite3.Connection],
        notify: Callable[[set[Hashable]], None],
    ) -> None:
        """Does not connect; `open` does.

        Args:
            name: the store's name in error messages.
            begin: the statement that begins a transaction.
            connect: opens the connection; runs in the new thread.
            notify: receives the topics of a committed group, in the event loop's thread.
        """
        self._name = name
        self._begin = begin
        self._connect = connect
        self._notify = notify
        self._tick: list[_Call] = []
        self._queue: queue.SimpleQueue[list[_Call]] = queue.SimpleQueue()
        self._backlog: list[_Call] = []
        self._open = False
        self._closing = False

    async def open(self) -> None:
        """Starts the thread and connects.

        Raises:
            StoreError: the connection cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        connected: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(connected,), name=f"unspool {self._name}", daemon=True
        )
        self._thread.start()
        try:
            await connected
        except asyncio.CancelledError:
            self._end_thread()
            raise
        self._open = True

    async def close(self) -> None:
        """Ends the thread after its current group; the calls queued behind that group fail."""
        if self._open:
            self._open = False
            self._end_thread()
            await self._ended
            self._thread.join()  # returns at once: the thread has nothing more to do

    def wake(self) -> None:
        """Wakes the thread, so that it reads `poll_interval` again."""
        self._queue.put([])

    def submit(
        self, work: Work[Result], precheck: Precheck | None = None, *, durable: bool = True
    ) -> asyncio.Future[Result]:
        """Runs a call in the thread.

        Args:
            work: the call.
            precheck: runs first; if it finds no row, the call does not run.
            durable: whether the call's effect must survive a power loss.

        Raises:
            StoreUnavailable: the thread is closed.
        """
        if not self._open:
            raise self._closed()
        future = self._loop.create_future()
        if not self._tick:
            self._loop.call_soon(self._enqueue_tick)
        self._tick.append(_Call(work, precheck, durable, future))
        return future

    def _end_thread(self) -> None:
        """Makes the thread close its connection and end, even if it is still connecting."""
        self._closing = True
        self._enqueue_tick()

    def _enqueue_tick(self) -> None:
        self._queue.put(self._tick)
        self._tick = []

    def _resolve(self, replies: list[_Reply], topics: set[Hashable]) -> None:
        for future, result, error in replies:
            if future.done():  # the caller was cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._notify(topics)

    # The methods below run in the thread itself.

    def poll_interval(self) -> float | None:
        """Seconds to wait for calls before `after_group` runs; None if it runs after groups only."""
        return None

    def opened(self, connection: sqlite3.Connection) -> None:
        """Runs once, after the connection is open."""

    def begin(self, connection: sqlite3.Connection, *, durable: bool) -> None:  # noqa: ARG002 - for subclasses
        """Begins a transaction."""
        connection.execute(self._begin)

    def ended(self, error: Exception | None) -> None:
        """Runs after the attempt of a transaction, with the error that rolled it back."""

    def after_group(self) -> None:
        """Runs, with no transaction open, after each group and whenever the poll interval is over."""

    def post(self, callback: Callable[..., None], *arguments: object) -> None:
        """Schedules a callback in the event loop's thread."""
        with suppress(RuntimeError):  # the loop is closed, so nothing waits for the callback
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _run(self, connected: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - raised by `open`
            self.post(self._resolve, [_Reply(connected, None, self._translated(error))], set())
            return
        try:
            with closing(connection):
                self.opened(connection)
                self.post(self._resolve, [_Reply(connected, None, None)], set())
                self._serve(connection)
        finally:
            self.post(self._resolve, [_Reply(self._ended, None, None)], set())

    def _serve(self, connection: sqlite3.Connection) -> None:
        while True:
            group = self._next_group()
            if self._closing:
                break
            if group:
                topics: set[Hashable] = set()
                replies = self._replies(connection, group, topics)
                self.post(self._resolve, replies, topics)
            self.after_group()
        closed = [_Reply(call.future, None, self._closed()) for call in group + self._backlog]
        self.post(self._resolve, closed, set())

    def _next_group(self) -> list[_Call]:
        with suppress(queue.Empty):
            if not self._backlog:
                self._backlog += self._queue.get(timeout=self.poll_interval())
            while True:
                self._backlog += self._queue.get_nowait()
        group = self._backlog[:LARGEST_GROUP]
        del self._backlog[:LARGEST_GROUP]
        return group

    def _replies(
        self, connection: sqlite3.Connection, calls: list[_Call], topics: set[Hashable]
    ) -> list[_Reply]:
        try:
            return self._run_in_one_transaction(connection, calls, topics)
        except Exception as error:  # noqa: BLE001 - raised to the callers
            _roll_back(connection)
            translated = self._translated(error)
            self.ended(translated)
            if len(calls) == 1 or isinstance(translated, StoreUnavailable):
                return [_Reply(call.future, None, self._translated(error)) for call in calls]
        # One of the calls fails: halving the group finds it and commits the others.
        middle = len(calls) // 2
        return [
            *self._replies(connection, calls[:middle], topics),
            *self._replies(connection, calls[middle:], topics),
        ]

    def _run_in_one_transaction(
        self, connection: sqlite3.Connection, calls: list[_Call], topics: set[Hashable]
    ) -> list[_Reply]:
        replies: list[_Reply] = []
        due: list[_Call] = []
        for call in calls:
            if call.precheck is None or connection.execute(*call.precheck).fetchone():
                due.append(call)
            else:
                replies.append(_Reply(call.future, [], None))
        if due:
            transaction = Transaction(connection)
            self.begin(connection, durable=any(call.durable for call in due))
            replies += [_Reply(call.future, call.work(transaction), None) for call in due]
            connection.execute("COMMIT")
            self.ended(None)
            topics |= transaction.topics
        return replies

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._name} is closed")

    def _translated(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        translated = as_store_error(error, self._name)
        translated.__cause__ = error
        return translated


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite itself rolls back after some errors. If this fails, the next group fails and rolls back again.
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
