"""A task that an executor holds, while it runs or waits."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from enum import Enum, auto

from unspool.definitions.json_value import Json
from unspool.eventstore.records import Delivery, TaskRequest
from unspool.eventstore.waiting import cancel
from unspool.executor.progress import Progress


class StopReason(Enum):
    """The reason for stopping a running task."""

    CANCELLED = auto()
    LOST = auto()
    RELEASED = auto()
    GIVEN_BACK = auto()
    """It has waited for a limit, and another executor is free."""


class Running:
    """A task that runs.

    What few tasks change is an attribute of the class until then: each step creates one of these objects.
    """

    task: asyncio.Task[None]
    stop_reason: StopReason | None = None
    stopping: asyncio.Task[None]
    progress: Progress | None = None
    """None as long as it has reported nothing."""
    waits = False
    """Whether it waits, without a slot."""
    _untouched_since = math.inf
    """Since when its first call has waited; infinite if it does not wait for its first call."""
    _has_called = False

    def __init__(self, delivery: Delivery[TaskRequest], on_parked: Callable[[], None]) -> None:
        """Takes the delivery, and what to call when the task waits without a slot."""
        self.delivery = delivery
        self._on_parked = on_parked

    def report(self, value: Json) -> None:
        """See `TaskContext.report`."""
        if self.progress is None:
            self.progress = Progress()
        self.progress.report(value)

    @contextlib.contextmanager
    def parked(self, why: str) -> Iterator[None]:
        """See `TaskContext.parked`."""
        before, waited = self.progress and self.progress.value, self.waits
        self.waits = True
        self.report({"waitsFor": why})
        self._on_parked()
        try:
            yield
        finally:
            self.waits = waited
            self.report(before)

    @contextlib.contextmanager
    def before_call(self) -> Iterator[None]:
        """See `TaskContext.before_call`."""
        if not self._has_called:
            self._untouched_since = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._untouched_since, self._has_called = math.inf, True

    def can_move(self, seconds: float) -> bool:
        """Whether it has waited so long, and has not made a call: another executor can begin with it."""
        since = self._untouched_since
        return (
            self.waits and self.stop_reason is None and since <= asyncio.get_running_loop().time() - seconds
        )

    def stop(self, reason: StopReason) -> None:
        """Cancels it."""
        self.stop_reason = reason
        self.stopping = asyncio.create_task(cancel([self.task]))
