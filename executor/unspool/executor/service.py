"""The executor service: takes tasks while it has room, keeps their leases, stops without losing any."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final

from unspool.eventstore.clock import Clock
from unspool.eventstore.errors import StoreError
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.records import EXECUTORS, Consumer, Delivery, Renewal, TaskRequest
from unspool.eventstore.retry import JITTER, retry_until_available, run_periodically
from unspool.eventstore.store_clock import StoreClock
from unspool.executor.outcome import Handler
from unspool.executor.settings import ExecutorSettings
from unspool.executor.work import Work

log = logging.getLogger(__name__)

_RECLAIM_SECONDS: Final = 2.5
_RECOVER_SECONDS: Final = 0.5
_FAREWELL_SECONDS: Final = 2.0
"""How long a stopping executor tries to reach a store that may be away."""


class _Fate(Enum):
    """Why a running task was told to stop."""

    CANCELLED = auto()
    LOST = auto()
    HANDED_BACK = auto()


@dataclass(slots=True)
class _Running:
    """A task in work."""

    delivery: Delivery[TaskRequest]
    task: asyncio.Task[None] = field(init=False)
    fate: _Fate | None = None

    def stop(self, fate: _Fate) -> None:
        self.fate = fate
        self.task.cancel()


class ExecutorService:
    """Works on the queues of its handlers until it is stopped.

    Many executors share the queues; `name` must be unique among the live ones.
    """

    def __init__(
        self,
        store: EventStore,
        handlers: Mapping[str, Handler],
        settings: ExecutorSettings,
        name: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._settings = settings
        self._consumer = Consumer(EXECUTORS, name, frozenset(handlers))
        self._clock = StoreClock(store, clock)
        self._work = Work(store, handlers, settings, self._clock)
        self._running: dict[tuple[str, str], _Running] = {}
        self._handed_back: list[Delivery[TaskRequest]] = []
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reclaim_at = 0.0

    async def run(self) -> None:
        """Works until `stop`, then lets running tasks end within the grace period and hands back the others.

        Cancelled, it hands them back at once.
        """
        await retry_until_available(self._clock.adjust)
        heart = partial(run_periodically, HEARTBEAT_SECONDS, self._beat)
        try:
            async with asyncio.TaskGroup() as duties:
                beating = duties.create_task(self._keep_up(heart), name="executor heartbeat")
                taking = duties.create_task(self._keep_up(self._take), name="executor intake")
                await self._stopping.wait()
                taking.cancel()
                await asyncio.wait({taking})
                await self._drain()
                beating.cancel()
        finally:
            await self._leave()

    def stop(self) -> None:
        """Asks `run` to come to an end; safe to call from a signal handler of the loop, and twice."""
        self._stopping.set()

    async def _keep_up(self, duty: Callable[[], Awaitable[None]]) -> None:
        """Takes a duty up again after a defect: the tasks that run deserve to be brought to their end."""
        while True:
            try:
                await duty()
            except Exception:
                log.exception("the executor met a defect and goes on", extra={"action": "executor_defect"})
            await asyncio.sleep(_RECOVER_SECONDS)

    async def _take(self) -> None:
        while True:
            free = await self._free_slots()
            for delivery in await retry_until_available(partial(self._next, free)):
                self._begin(delivery)

    async def _next(self, free: int) -> list[Delivery[TaskRequest]]:
        """New tasks or, now and then, those whose executor is gone."""
        now = asyncio.get_running_loop().time()
        if now < self._reclaim_at:
            return await self._store.receive_tasks(self._consumer, free, self._reclaim_at - now)
        lease = self._settings.lease_seconds
        deliveries = await self._store.reclaim_tasks(self._consumer, free, lease)
        self._reclaim_at = now + _RECLAIM_SECONDS * JITTER.uniform(0.5, 1.5)
        return deliveries

    async def _free_slots(self) -> int:
        while (free := self._settings.concurrency - len(self._running)) <= 0:
            self._room.clear()
            await self._room.wait()
        return free

    def _begin(self, delivery: Delivery[TaskRequest]) -> None:
        key = (delivery.source, delivery.id)
        if key in self._running:  # reclaimed from ourselves: the lease ended while this machine slept
            return
        running = _Running(delivery)
        running.task = asyncio.create_task(self._do(running))
        running.task.add_done_callback(partial(self._ended, key))
        self._running[key] = running

    async def _do(self, running: _Running) -> None:
        delivery = running.delivery
        try:
            await self._work.do(delivery)
        except asyncio.CancelledError:
            if running.fate is _Fate.CANCELLED:
                await self._work.drop(delivery)
            elif running.fate is _Fate.HANDED_BACK:
                self._handed_back.append(delivery)
            elif running.fate is None:
                raise
        except Exception:
            # Its lease is not renewed any more: it will be delivered again.
            log.exception(
                "a task could not be ended",
                extra={
                    "action": "task_not_ended",
                    "execution": delivery.body.execution,
                    "task": delivery.body.task,
                },
            )

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:  # noqa: ARG002 - asyncio's signature
        del self._running[key]
        self._room.set()

    async def _beat(self) -> None:
        """The heartbeat: shows that this executor lives, renews leases, learns which tasks are to stop."""
        await self._store.heartbeat(self._consumer)
        await self._clock.adjust()
        if self._running:
            await self._renew(list(self._running.values()))

    async def _renew(self, held: list[_Running]) -> None:
        renewals = await self._store.renew_tasks(self._consumer, [running.delivery for running in held])
        for running, renewal in zip(held, renewals, strict=True):
            if renewal is Renewal.HELD or running.fate is not None:
                continue
            running.stop(_Fate.CANCELLED if renewal is Renewal.CANCELLED else _Fate.LOST)

    async def _drain(self) -> None:
        if tasks := {running.task for running in self._running.values()}:
            await asyncio.wait(tasks, timeout=self._settings.stop_grace_seconds)

    async def _leave(self) -> None:
        """Hands back what still runs and leaves the group, if the store can be told; else leases end."""
        remaining = list(self._running.values())
        for running in remaining:
            running.stop(_Fate.HANDED_BACK)
        if remaining:
            await asyncio.wait({running.task for running in remaining})
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                if self._handed_back:
                    await self._store.release(self._handed_back)
                await self._store.deregister(self._consumer)
