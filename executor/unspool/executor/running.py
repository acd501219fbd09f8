"""A task that an executor holds, while it runs or waits."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Running:
    """A task that runs."""

    delivery: Delivery[TaskRequest]
    task: asyncio.Task[None] = field(init=False)
    stop_reason: StopReason | None = None
    stopping: asyncio.Task[None] = field(init=False)
    progress: Progress = field(default_factory=Progress)
    waits: bool = False
    """Whether it waits, without a slot."""
    on_parked: Callable[[], None] = lambda: None
    _untouched_since: float = math.inf
    """Since when its first call has waited; infinite if it does not wait for its first call."""
    _has_called: bool = False

    def report(self, value: Json) -> None:
        """See `TaskContext.report`."""
        self.progress.report(value)

    @contextlib.contextmanager
    def parked(self, why: str) -> Iterator[None]:
        """See `TaskContext.parked`."""
        before, waited = self.progress.value, self.waits
        self.waits = True
        self.progress.report({"waitsFor": why})
        self.on_parked()
        try:
            yield
        finally:
            self.waits = waited
            self.progress.report(before)

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
