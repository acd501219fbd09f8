"""The worker's loop.

At any time, at most one asyncio task processes the messages of an execution, so there are no races within a
process. Messages that arrive meanwhile wait, and the next decision answers all of them. A batch of executions
is processed at once (`BatchProcessor`). An execution that needs more gets a separate task
(`ExecutionProcessor`). There are no locks between processes: the second commit is refused, and its worker
decides again on the newer history.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from unspool.definitions.expressions import JqRunner
from unspool.definitions.schedules.event_trigger import event_trigger_of
from unspool.eventstore.clock import Clock, SystemClock
from unspool.eventstore.consumers import WORKERS, Capacity, Consumer, Load
from unspool.eventstore.encryption.payloads import PLAIN_PAYLOADS, Payloads
from unspool.eventstore.errors import StoreError, StoreMismatch
from unspool.eventstore.monitoring.health import HEARTBEAT, ServiceHealth
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, trace_context
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message
from unspool.eventstore.retry import retry_until_available, run_periodically
from unspool.eventstore.store_clock import StoreClock
from unspool.eventstore.waiting import cancel
from unspool.worker.batch_processor import BatchProcessor
from unspool.worker.children import Children
from unspool.worker.correlator import Correlator
from unspool.worker.definition_cache import DefinitionCache
from unspool.worker.event_order import in_bus_order
from unspool.worker.execution_processor import MAX_ATTEMPTS, ExecutionProcessor
from unspool.worker.function_routes import FunctionRoutes
from unspool.worker.idempotency_keys import IdempotencyKeys
from unspool.worker.metrics import WorkerFigures, WorkerMetrics
from unspool.worker.plan_cache import MOST, PlanCache
from unspool.worker.relief import RELIEF_SECONDS, GivenBack, Relief
from unspool.worker.resolution import Resolution, TraceparentOf
from unspool.worker.resource_cache import ResourceCache
from unspool.worker.schedule.archive import ScheduleArchive
from unspool.worker.schedule.processor import ScheduleProcessor
from unspool.worker.schedule.settings import ScheduleSettings
from unspool.worker.settings import WorkerSettings
from unspool.worker.state_cache import StateCache
from unspool.worker.steps import Steps
from unspool.worker.tenant_threads import TenantThreads

log = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 1.0
_WAIT_WITH_SKIPPED_SECONDS: Final = 0.05
"""How long it waits while it skips tenants: short, because it must soon receive their messages again."""

_RECLAIM_SECONDS: Final = 2.0
_RELAY_SECONDS: Final = 1.0


class DeliveredTooOften(Exception):
    """A message was delivered too often and never acknowledged. It may crash its workers."""


class WorkerService:
    """Interprets executions until it is stopped."""

    def __init__(
        self,
        store: EventStore,
        jq: JqRunner,
        settings: WorkerSettings,
        name: str,
        clock: Clock | None = None,
        schedules: ScheduleSettings | None = None,
        metrics: WorkerMetrics | None = None,
        health: ServiceHealth | None = None,
        *,
        traceparent_of: TraceparentOf | None = None,
        payloads: Payloads = PLAIN_PAYLOADS,
    ) -> None:
        """Takes what tells the trace context of an execution, for events; and what encrypts archives."""
        self._store = store
        self._metrics = metrics = metrics or WorkerMetrics()
        self._traceparent_of = traceparent_of
        self._health = health or ServiceHealth("worker")
        self._settings = settings
        self._consumer = Consumer(WORKERS, name)
        self._clock = StoreClock(store, clock or SystemClock())
        states = StateCache(store, settings.cached_states, settings.snapshot_every)
        resources = ResourceCache(store, jq)
        plans, steps = (
            PlanCache(store, jq),
            Steps(self._clock.now, settings.error_base, lifecycle=settings.lifecycle_events),
        )
        keys = IdempotencyKeys(store, jq)
        resolution = Resolution(
            Children(store, keys, settings.max_depth, settings.error_base),
            FunctionRoutes(store, self._clock.now, settings.error_base),
            traceparent_of,
        )
        self._threads = TenantThreads(settings.jq_processes)
        schedules = schedules or ScheduleSettings()
        archive = ScheduleArchive(Path(schedules.archive), payloads) if schedules.archive else None
        self._execution_processor = ExecutionProcessor(
            store,
            plans,
            states,
            steps,
            resolution,
            self._threads,
            ScheduleProcessor(
                store,
                self._clock.now,
                schedules.rules,
                DefinitionCache(
                    store, lambda text, tenant: event_trigger_of(text, jq.for_tenant(tenant)), MOST
                ),
                keys,
                self._threads,
                settings.cached_states,
                metrics,
                archive=archive,
            ),
            resources,
            metrics=metrics,
        )
        self._batch_processor = BatchProcessor(store, plans, resources, states, steps, resolution, metrics)
        self._caches = {"states": states.use, "definitions": plans.use, **resources.uses}
        metrics.observe(self._figures)
        self._processing: dict[ExecutionKey, asyncio.Task[None]] = {}
        """The executions that are being processed, each with its asyncio task."""
        self._waiting: dict[ExecutionKey, list[Delivery[Message]]] = {}
        """Messages that arrived for these executions meanwhile."""
        self._being_processed: dict[ExecutionKey, list[Delivery[Message]]] = {}
        """The messages that are being processed."""
        self._being_processed_before: dict[ExecutionKey, list[Delivery[Message]]] = {}
        self._relief = Relief(store, self._consumer, self._threads, self._held)
        self._skipped: frozenset[str] | None = None
        """The tenants that the present call to receive messages skips."""
        self._in_flight = 0
        self._capacity_freed = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Works until `stop` is called; then finishes the messages in processing and deregisters."""
        await retry_until_available(self._clock.adjust)
        renew_seconds = self._settings.lease_seconds / 4
        running: dict[str, Callable[[], Awaitable[None]]] = {
            "receive": self._receive,
            HEARTBEAT: partial(run_periodically, HEARTBEAT_SECONDS, self._heartbeat),
            "reclaim": partial(run_periodically, _RECLAIM_SECONDS, self._reclaim),
            "relay": partial(run_periodically, _RELAY_SECONDS, self._relay),
            "give back": partial(run_periodically, RELIEF_SECONDS, self._relieve),
            "match events": Correlator(self._store, self._consumer).run,
            "renew leases": partial(run_periodically, renew_seconds, self._renew_leases),
        }
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._health.watch(name, loop), name=f"worker: {name}")
                for name, loop in running.items()
            ]
            await self._stopping.wait()
            for loop in loops:
                loop.cancel()
        await self._shut_down()

    def stop(self) -> None:
        """Asks the worker to finish."""
        self._stopping.set()

    async def _receive(self) -> None:
        while True:
            await self._leave_to_others()
            free = await self._free()
            delayed = self._threads.waiting()
            # Slow expressions use capacity for a long time, so a part of it stays free for other tenants.
            limit = min(self._settings.batch, -(-free // 2) if delayed else free)
            self._skipped = skip = self._over_their_share(delayed) | self._relief.left_to_others
            seconds = _WAIT_WITH_SKIPPED_SECONDS if skip else _WAIT_SECONDS
            receive = partial(self._store.receive_messages, self._consumer, limit, seconds, skip)
            received = await retry_until_available(receive)
            self._skipped = None
            self._health.turned("receive")
            if received:
                self._metrics.received(received, self._clock.now())
                self._put(received)

    async def _leave_to_others(self) -> None:
        """Pauses if keys of payloads are missing, and another worker, which may have them, is free."""
        if self._store.missing_keys():
            others = partial(self._store.others_free, self._consumer)
            if await retry_until_available(others):
                await asyncio.sleep(_WAIT_SECONDS)

    @property
    def _capacity(self) -> int:
        return self._settings.concurrency * self._settings.batch

    def _figures(self) -> WorkerFigures:
        return WorkerFigures(
            self._in_flight,
            self._capacity,
            self._threads.busy,
            self._threads.size,
            self._threads.longest_wait(),
            self._caches,
        )

    async def _free(self) -> int:
        """Waits until there is free capacity. Returns the number of messages."""
        while self._in_flight >= self._capacity:
            self._capacity_freed.clear()
            await self._capacity_freed.wait()
        return self._capacity - self._in_flight

    def _over_their_share(self, delayed: Sequence[str]) -> frozenset[str]:
        """The delayed tenants that use more of the capacity than their share.

        Each delayed tenant has one share, and all other tenants have one share.
        """
        if not delayed:
            return frozenset()
        held: Counter[str] = Counter()
        for messages_by_execution in (self._being_processed, self._waiting):
            for key, deliveries in messages_by_execution.items():
                held[key.tenant] += len(deliveries)
        share = self._capacity // (len(delayed) + 1)
        return frozenset(tenant for tenant in delayed if held[tenant] >= share)

    async def _heartbeat(self) -> None:
        load = self._relief.load
        # Without a key it must leave messages to workers that have it.
        if load is Load.FREE and (self._in_flight > self._capacity // 2 or self._store.missing_keys()):
            load = Load.BUSY
        await self._store.heartbeat(self._consumer, load, Capacity(self._in_flight, self._capacity))
        await self._clock.adjust()
        self._health.turned(HEARTBEAT)

    async def _relay(self) -> None:
        """Delivers outgoing starts and messages that other processes committed but did not deliver."""
        await self._store.deliver_outgoing()

    async def _relieve(self) -> None:
        await self._relief.relieve(lambda: self._skipped)

    def _held(self, key: ExecutionKey) -> list[Delivery[Message]]:
        return [*self._being_processed.get(key, ()), *self._waiting.get(key, ())]

    def _holds(self, delivery: Delivery[Message]) -> bool:
        return any(held is delivery for held in self._held(delivery.key))

    async def _renew_leases(self) -> None:
        """Renews the leases of messages that take long, and of messages that wait for them.

        Otherwise messages that wait for slow expressions would move from worker to worker, and to the dead
        letter queue, although no worker failed.
        """
        slow = [
            key
            for key, held in self._being_processed.items()
            if self._being_processed_before.get(key) is held
        ]
        self._being_processed_before = dict(self._being_processed)
        deliveries = [d for key in slow for d in self._held(key)]
        if deliveries:
            await self._store.renew_messages(self._consumer, deliveries)

    async def _reclaim(self) -> None:
        """Takes over the messages of dead workers, one at a time.

        One of them may have crashed its worker. If several were taken at once, the others would be delivered
        as often as that one, and would also be moved to the dead letter queue.
        """
        lease = self._settings.lease_seconds
        while orphans := await self._store.reclaim_messages(self._consumer, 1, lease):
            self._metrics.reclaimed(orphans)
            for delivery in orphans:
                if delivery.attempts > MAX_ATTEMPTS:
                    await self._execution_processor.move_to_dead_letters(
                        delivery, DeliveredTooOften(f"{MAX_ATTEMPTS} deliveries")
                    )
                else:
                    self._put([delivery])
                    # Not until the execution has no more messages: an earlier event may be an orphan too.
                    while self._holds(delivery):
                        self._capacity_freed.clear()
                        await self._capacity_freed.wait()

    def _put(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """Starts to process messages. Messages of executions that are being processed wait."""
        fresh: dict[ExecutionKey, list[Delivery[Message]]] = {}
        for delivery in deliveries:
            key = delivery.key
            messages_by_execution = self._waiting if key in self._processing else fresh
            messages_by_execution.setdefault(key, []).append(delivery)
        self._in_flight += len(deliveries)
        if fresh:
            fresh = {key: some if len(some) == 1 else in_bus_order(some) for key, some in fresh.items()}
            task = asyncio.create_task(self._process_batch(fresh))
            self._processing.update(dict.fromkeys(fresh, task))
            self._being_processed.update(fresh)

    async def _process_batch(
        self, messages_by_execution: dict[ExecutionKey, list[Delivery[Message]]]
    ) -> None:
        """Processes the messages of many executions. Each execution that needs more gets a separate task."""
        while messages_by_execution:
            try:
                answered = await self._batch_processor.process(messages_by_execution)
            except StoreMismatch:  # the loops of the service end with the same error
                answered = {}
            except Exception:  # after any error, the executions must stay processable
                log.exception("a batch failed", extra={"action": "batch_failed"})
                answered = {}
            read, messages_by_execution = messages_by_execution, {}
            for key, deliveries in read.items():
                if key not in answered:
                    self._processing[key] = asyncio.create_task(self._process_execution(key, deliveries))
                elif arrived := self._finished(key, deliveries, answered[key]):
                    messages_by_execution[key] = arrived

    async def _process_execution(self, key: ExecutionKey, deliveries: list[Delivery[Message]]) -> None:
        """Processes the messages of one execution until none is left."""
        if self._traceparent_of is not None:  # for log records; the context ends with the asyncio task
            trace_context.set({TRACEPARENT: await self._traceparent_of(key)})
        while deliveries:
            try:
                await self._execution_processor.process(key, deliveries)
            except GivenBack as given_back:
                self._remove_waiting(key, given_back.deliveries)
            except StoreMismatch:
                pass  # the loops of the service end with the same error
            except Exception:  # the messages are delivered again when their leases end
                log.exception("messages failed", extra={"action": "messages_failed", "execution": key.id})
            deliveries = self._finished(key, deliveries)

    def _remove_waiting(self, key: ExecutionKey, gone: Sequence[Delivery[Message]]) -> None:
        """Removes messages that wait for the execution here."""
        ids = {(delivery.source, delivery.id) for delivery in gone}
        waiting = self._waiting.pop(key, [])
        left = [delivery for delivery in waiting if (delivery.source, delivery.id) not in ids]
        self._in_flight -= len(waiting) - len(left)
        if left:
            self._waiting[key] = left

    def _finished(
        self,
        key: ExecutionKey,
        deliveries: Sequence[Delivery[Message]],
        left: Sequence[Delivery[Message]] = (),
    ) -> list[Delivery[Message]]:
        """Records that messages were processed. Returns the next messages of the execution, at most a batch.

        `left` are those of the processed messages that the last commit did not answer; they come first.
        """
        self._in_flight -= len(deliveries) - len(left)
        self._capacity_freed.set()
        waiting = [*left, *self._waiting.pop(key, ())]
        if not waiting:
            del self._processing[key], self._being_processed[key]
            return waiting
        waiting = in_bus_order(waiting)
        arrived, later = waiting[: self._settings.batch], waiting[self._settings.batch :]
        if later:
            self._waiting[key] = later
        self._being_processed[key] = arrived
        return arrived

    async def _shut_down(self) -> None:
        """Finishes the messages in processing, or leaves them to other workers, and deregisters."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace_seconds):
                while self._processing:  # a task may start others
                    await asyncio.wait(set(self._processing.values()))
        await cancel(self._processing.values())
        with suppress(StoreError):  # otherwise its leases end
            await self._store.deregister(self._consumer)
