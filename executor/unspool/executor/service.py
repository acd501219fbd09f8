"""The executor service: receives tasks while it has free slots and renews their leases."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.tasks import call_registered
from unspool.definitions.tasks.request import queue_of
from unspool.eventstore.clock import Clock
from unspool.eventstore.consumers import EXECUTORS, Capacity, Consumer, Load
from unspool.eventstore.errors import StoreError, StoreMismatch, StoreUnavailable
from unspool.eventstore.monitoring.health import HEARTBEAT, ServiceHealth
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.records import Delivery, Message, MessageKind, TaskRequest
from unspool.eventstore.results import Renewal
from unspool.eventstore.retry import JITTER, retry_until_available, run_periodically
from unspool.eventstore.store_clock import StoreClock
from unspool.executor.functions.registration import Registration
from unspool.executor.metrics import ExecutorFigures, ExecutorMetrics, TaskEnd
from unspool.executor.outcome import HandedBack, Handler
from unspool.executor.relief import RELIEF_SECONDS, Relief
from unspool.executor.running import Running, StopReason
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_runner import TaskRunner

log = logging.getLogger(__name__)

_RECEIVE: Final = "receive"
_RELIEF: Final = "relief"
_RECLAIM_SECONDS: Final = 2.5
_RECOVER_SECONDS: Final = 0.5
_DEREGISTER_TIMEOUT_SECONDS: Final = 2.0
"""How long a stopping executor waits for a store that may be unavailable."""


class ExecutorService:
    """Runs the tasks of its handlers, which have their kind as key, until it is stopped.

    Many executors can share the queues; each needs a unique `name`.
    """

    def __init__(
        self,
        store: EventStore,
        handlers: Mapping[str, Handler],
        settings: ExecutorSettings,
        name: str,
        clock: Clock,
        functions: Registration | None = None,
        metrics: ExecutorMetrics | None = None,
        health: ServiceHealth | None = None,
    ) -> None:
        """Takes handlers by kind, and the registration of the functions that the handlers run."""
        self._metrics = metrics = metrics or ExecutorMetrics()
        self._health = health or ServiceHealth("executor")
        self._store = store
        self._settings = settings
        self._functions = functions
        queues = frozenset(map(queue_of, handlers)) - {call_registered.KIND}
        if functions is not None:
            queues |= functions.queues
        self._consumer = Consumer(EXECUTORS, name, queues)
        self.queues = queues
        """The task queues that it serves."""
        self._clock = StoreClock(store, clock)
        self._runner = TaskRunner(store, handlers, settings, self._clock, metrics)
        self._running: dict[tuple[str, str], Running] = {}
        self._to_release: list[Delivery[TaskRequest]] = []
        self._slot_freed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._relief = Relief(store, self._consumer, settings.concurrency)
        self._receives = False
        self._reclaim_at = 0.0
        self._any_waited = False
        metrics.observe(self._figures)

    async def run(self) -> None:
        """Runs until `stop`. Then waits for running tasks until the grace period ends, and releases the rest.

        If the call is cancelled, it releases all tasks at once.
        """
        await retry_until_available(self._clock.adjust)
        heartbeats = partial(run_periodically, HEARTBEAT_SECONDS, self._heartbeat)
        try:
            async with asyncio.TaskGroup() as loops:
                beating = self._restarted(HEARTBEAT, heartbeats)
                heartbeat = loops.create_task(beating, name="executor: heartbeat")
                receive = self._restarted(_RECEIVE, self._receive_tasks)
                receiving = loops.create_task(receive, name="executor: receive")
                relief = self._restarted(_RELIEF, partial(run_periodically, RELIEF_SECONDS, self._relieve))
                relieving = loops.create_task(relief, name="executor: relief")
                await self._stopping.wait()
                receiving.cancel()
                relieving.cancel()
                await asyncio.wait({receiving, relieving})
                await self._drain()
                heartbeat.cancel()
        finally:
            await self._shut_down()

    def stop(self) -> None:
        """Makes `run` stop. A signal handler of the loop may call it, also more than once."""
        self._stopping.set()

    async def _restarted(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Starts a loop again after an unexpected exception, so that running tasks can still finish."""
        while True:
            try:
                await self._health.watch(name, loop)
            except StoreMismatch:  # the store lost its data: no retry helps, so the service ends
                raise
            except Exception:
                log.exception("unexpected error in the executor", extra={"action": "executor_defect"})
            await asyncio.sleep(_RECOVER_SECONDS)

    async def _receive_tasks(self) -> None:
        while True:
            free = await self._free_slots()
            self._health.turned(_RECEIVE)
            self._receives = True
            try:
                deliveries = await retry_until_available(partial(self._receive, free))
            finally:
                self._receives = False
            for delivery in deliveries:
                self._start(delivery)

    async def _receive(self, free: int) -> list[Delivery[TaskRequest]]:
        """New tasks or, every few seconds, tasks of executors that have stopped or whose lease has ended."""
        now = asyncio.get_running_loop().time()
        if now < self._reclaim_at:
            deliveries = await self._store.receive_tasks(self._consumer, free, self._reclaim_at - now)
            if deliveries:
                self._metrics.received(deliveries, self._clock.now())
            return deliveries
        lease = self._settings.lease_seconds
        deliveries = await self._store.reclaim_tasks(self._consumer, free, lease)
        self._metrics.reclaimed(deliveries)
        self._reclaim_at = now + _RECLAIM_SECONDS * JITTER.uniform(0.5, 1.5)
        return deliveries

    async def _free_slots(self) -> int:
        while (free := self._free()) <= 0 or self._relief.leaves_tasks:
            self._slot_freed.clear()
            self._health.turned(_RECEIVE, within=math.inf)  # as long as the tasks take
            await self._slot_freed.wait()
        return free

    def _free(self) -> int:
        """The tasks that may be received. Some of those that wait hold no slot."""
        without_slot = min(self._parked(), self._settings.parked_tasks)
        return self._settings.concurrency + without_slot - len(self._running)

    def _parked(self) -> int:
        """The tasks that wait without a slot."""
        return sum(running.waits for running in self._running.values()) if self._any_waited else 0

    async def _relieve(self) -> None:
        """Gives waiting calls to executors that are free; see `Relief`."""
        if self._any_waited:
            await self._relief.relieve(self._running.values(), receives=self._receives)
            if not self._relief.leaves_tasks:
                self._slot_freed.set()
        if self._to_release:
            await self._release()
        self._health.turned(_RELIEF)

    async def _release(self) -> None:
        """Releases the tasks that were stopped for it. If that fails, they are released the next time."""
        released = self._to_release[:]
        await self._store.release(released)
        del self._to_release[: len(released)]

    def _figures(self) -> ExecutorFigures:
        return ExecutorFigures(len(self._running), self._parked(), self._settings.concurrency)

    def _on_parked(self) -> None:
        self._any_waited = True
        self._slot_freed.set()

    def _start(self, delivery: Delivery[TaskRequest]) -> None:
        key = (delivery.source, delivery.id)
        if key in self._running:  # it reclaimed its own task: the lease ended while the machine slept
            return
        running = self._running[key] = Running(delivery, self._on_parked)
        running.task = asyncio.create_task(self._run_task(key, running))

    async def _run_task(self, key: tuple[str, str], running: Running) -> None:
        """Runs a task to its end. It begins in any case: what cancels it is scheduled after it."""
        delivery, began, end = running.delivery, time.perf_counter(), TaskEnd.LOST
        try:
            end = await self._runner.run(delivery, running)
        except asyncio.CancelledError:
            if running.stop_reason is None:
                raise
            end = await self._stopped(delivery, running.stop_reason)
        except HandedBack:
            with contextlib.suppress(StoreError):  # its lease ends then
                await self._store.release([delivery])
            end = TaskEnd.HANDED_BACK
        except StoreMismatch:
            pass  # the next heartbeat ends the service with this error
        except Exception:
            # Its lease is no longer renewed, so it is delivered again.
            log.exception(
                "a task could not be finished",
                extra={
                    "action": "task_not_finished",
                    "execution": delivery.body.execution,
                    "task": delivery.body.task,
                },
            )
        finally:
            del self._running[key]
            self._slot_freed.set()
            self._metrics.ended(delivery, end, time.perf_counter() - began)

    async def _stopped(self, delivery: Delivery[TaskRequest], reason: StopReason) -> TaskEnd:
        """Does what the reason of a stop needs. Returns how the task ended."""
        if reason is StopReason.CANCELLED:
            await self._runner.discard(delivery)
            return TaskEnd.CANCELLED
        if reason is StopReason.LOST:
            return TaskEnd.LOST
        self._to_release.append(delivery)
        return TaskEnd.HANDED_BACK if reason is StopReason.GIVEN_BACK else TaskEnd.LOST

    async def _heartbeat(self) -> None:
        """Tells the store that this executor is alive, renews leases and stops tasks that were cancelled."""
        slots = Capacity(len(self._running) - self._parked(), self._settings.concurrency)
        is_free = slots.used < slots.most and not self._relief.is_full(self._running.values())
        load = Load.FREE if is_free else Load.BUSY
        await self._store.heartbeat(self._consumer, load, slots)
        await self._clock.adjust()
        if self._functions is not None:
            await self._functions.renew()
        if self._running:
            await self._renew(list(self._running.values()))
            await self._send_progress(list(self._running.values()))
        self._health.turned(HEARTBEAT)

    async def _renew(self, held: list[Running]) -> None:
        renewals = await self._store.renew_tasks(self._consumer, [running.delivery for running in held])
        for running, renewal in zip(held, renewals, strict=True):
            if renewal is Renewal.HELD or running.stop_reason is not None:
                continue
            running.stop(StopReason.CANCELLED if renewal is Renewal.CANCELLED else StopReason.LOST)

    async def _send_progress(self, held: list[Running]) -> None:
        now = asyncio.get_running_loop().time()
        reported = [(each, each.progress) for each in held if each.stop_reason is None]
        due = [(each, progress) for each, progress in reported if progress and progress.is_due(now)]
        await asyncio.gather(*(self._send(each.delivery, progress.sending(now)) for each, progress in due))

    async def _send(self, delivery: Delivery[TaskRequest], progress: Json) -> None:
        request = delivery.body
        body = {"run": request.run, "progress": progress}
        with contextlib.suppress(StoreUnavailable):  # the next value is sent
            message = Message(MessageKind.TASK_PROGRESSED, request.execution, body)
            await self._store.send(delivery.tenant, message)

    async def _drain(self) -> None:
        # Those that only wait continue in another executor.
        if tasks := {running.task for running in self._running.values() if not running.waits}:
            await asyncio.wait(tasks, timeout=self._settings.stop_grace_seconds)

    async def _shut_down(self) -> None:
        """Releases running tasks and deregisters. If the store is unavailable, the leases end later."""
        remaining = list(self._running.values())
        for running in remaining:
            if running.stop_reason is None:  # those that are stopping clean up
                running.stop(StopReason.RELEASED)
        if remaining:
            await asyncio.wait({running.task for running in remaining})
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_DEREGISTER_TIMEOUT_SECONDS):
                if self._to_release:
                    await self._release()
                await self._store.deregister(self._consumer)
