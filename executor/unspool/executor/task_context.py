"""What a handler knows of a task beside its request."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from unspool.definitions.json_value import Json
from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import Event
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.records import ExecutionKey, Message
from unspool.executor.masking import Masking, masked


class TaskStore(Protocol):
    """What handlers use of the event store (`eventstore/port.py`)."""

    async def text(self, tenant: str, sha256: str) -> str | None:
        """The text with this hash."""

    async def send(self, tenant: str, message: Message) -> None:
        """Adds a message to an execution's inbox."""

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """The events after number `after`, in order."""

    async def wait_for_version(self, key: ExecutionKey, after: int, seconds: float) -> None:
        """Returns when the history is newer than `after`, or after `seconds`."""

    async def functions(self) -> list[RegisteredFunction]:
        """The functions that executors have registered."""

    async def now(self) -> int:
        """The store's clock, milliseconds since 1970."""


class HeldTask(Protocol):
    """A task as the executor that holds it sees it."""

    def report(self, value: Json) -> None:
        """See `TaskContext.report`."""

    def parked(self, why: str) -> AbstractContextManager[None]:
        """See `TaskContext.parked`."""

    def before_call(self) -> AbstractContextManager[None]:
        """See `TaskContext.before_call`."""


@dataclass(slots=True)
class TaskContext:
    """One delivery of a task. Do not modify it.

    Not `frozen`, because creating a frozen one takes three times as long, and every step creates one.
    """

    tenant: str
    attempt: int
    """How many times the task was delivered, this time included."""
    store: TaskStore
    report: Callable[[Json], None]
    """Reports the progress of the task: any JSON. The newest value is sent every few seconds, to the history.
    Raises `ValueError` if it is larger than 4096 bytes, and `TypeError` if it is not JSON."""
    parked: Callable[[str], AbstractContextManager[None]]
    """Frees the slot of the task while the context is open, because the task only waits. Takes what it waits
    for, which becomes its progress. Can be used inside itself."""
    before_call: Callable[[], AbstractContextManager[None]] = nullcontext
    """Is open while a call waits to be made. If it is the first one of the task, another executor may get the
    task meanwhile: then it is cancelled, and its attempt is not counted."""
    deadline: float | None = None
    """When the task is cancelled, in the time of the event loop; None if it has no timeout."""

    def masked_by(self, mask: Masking) -> "TaskContext":
        """The same, with a mask of what is reported. `replace` takes four times as long."""
        return TaskContext(
            self.tenant,
            self.attempt,
            self.store,
            lambda value: self.report(mask.value(value)),
            lambda why: self.parked(mask.text(why)),
            self.before_call,
            self.deadline,
        )

    async def text(self, sha256: str) -> str:
        """The text of an external resource that was fetched for the execution.

        Raises:
            NotFound: it is not stored.
            CorruptHistory: the stored text has another hash.
        """
        found = await self.store.text(self.tenant, sha256)
        if found is None:
            raise NotFound(f"the text {sha256} is not stored")
        return found


current: Final[ContextVar[TaskContext | None]] = ContextVar("current task", default=None)
"""The context of the task that runs, for what is below handlers."""


def parked(why: str) -> AbstractContextManager[None]:
    """Frees the slot of the task that runs while the context is open; see `TaskContext.parked`."""
    context = current.get()
    return nullcontext() if context is None else context.parked(masked(why, ()))


def before_call() -> AbstractContextManager[None]:
    """Is open while a call of the task that runs waits; see `TaskContext.before_call`."""
    context = current.get()
    return nullcontext() if context is None else context.before_call()


async def acquired(semaphore: asyncio.Semaphore, why: str) -> None:
    """Acquires a semaphore. While the task that runs must wait for it, it holds no slot; see `parked`."""
    if semaphore.locked():
        with parked(why):
            await semaphore.acquire()
    else:
        await semaphore.acquire()
