"""Sends the published events of all tenants to one sink."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.published_events import EventBatch, PublishedEvent
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.eventstore.sinks import EventSinks, SinkProgress
from unspool.eventstore.waiting import done_before
from unspool.executor.transports.attempts import Attempts
from unspool.executor.transports.sink import NotSent, Refused, Sink

log = logging.getLogger(__name__)

_BATCH: Final = 100
"""Events that are read together, at most."""

_READ_BYTES: Final = 4 << 20
"""Size of the events that are read together, about: fewer are read if the last ones were large."""

_TENANTS: Final = 8
"""Tenants whose events are sent at the same time, at most. Those of one tenant are sent in order."""

_WAIT_SECONDS: Final = 1.0
_RECORD_SECONDS: Final = 1.0
"""Progress is recorded after this time, so that few events are sent again if the process ends."""

_MAX_BYTES: Final = 1 << 20
"""Size of the events of one call of a sink; but at least one event is sent."""


class SinkLoop:
    """Reads events after the place of a sink, sends them, and records the new place."""

    def __init__(
        self, store: EventSinks, consumer: Consumer, sink: Sink, max_refusals: int, longest_pause: float
    ) -> None:
        self._store = store
        self._consumer = consumer
        self._sink = sink
        self._max_refusals = max_refusals
        self._attempts = Attempts(longest_pause, JITTER)
        self._sending: dict[str, asyncio.Task[None]] = {}
        """By tenant."""
        self._singly: dict[str, int] = {}
        """By tenant, how many events are sent one at a time, because one of them was refused."""
        self._limit = _BATCH
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Sends events until `stop`; then it finishes the calls of the sink that are under way."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._changed.clear()
                if len(self._sending) >= _TENANTS:
                    await self._changed.wait()
                elif batch := await self._received():
                    self._sending[batch.tenant] = group.create_task(self._pass(batch))

    def stop(self) -> None:
        """Asks it to finish."""
        self._stopping = True
        self._changed.set()

    async def _received(self) -> EventBatch | None:
        """The next events of a tenant. None if there are none, or if another tenant may be served now."""
        now = asyncio.get_running_loop().time()
        seconds = self._attempts.next_end(now, _WAIT_SECONDS)
        skip = self._attempts.paused(now) | frozenset(self._sending)
        found: list[EventBatch | None] = []

        async def receive() -> None:
            what = (self._consumer, self._sink.name, self._limit, seconds, skip)
            found.append(await retry_until_available(partial(self._store.receive_for_sink, *what)))

        await done_before(receive(), self._changed.wait())
        return found[0] if found else None

    async def _pass(self, batch: EventBatch) -> None:
        """Sends a batch, or a part of it, and records how far it has come."""
        try:
            progress = await self._sent(batch)
            record = partial(self._store.record_progress, self._consumer, self._sink.name, progress)
            await retry_until_available(record)
        finally:
            del self._sending[batch.tenant]
            self._changed.set()

    async def _sent(self, batch: EventBatch) -> SinkProgress:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        progress = SinkProgress(batch.tenant, batch.after, batch.after)
        encoded = [orjson.dumps(each.event) for each in batch.events]
        size = sum(map(len, encoded))
        self._limit = max(1, min(_BATCH, _READ_BYTES * len(encoded) // max(1, size)))
        first = 0
        while first < len(encoded) and loop.time() - begun < _RECORD_SECONDS and not self._stopping:
            end = self._end_of_call(batch.tenant, encoded, first)
            some = batch.events[first:end]
            try:
                await self._send(batch.tenant, encoded[first:end])
            except NotSent as error:
                if isinstance(error, Refused) and len(some) > 1:
                    self._singly[batch.tenant] = len(some)
                    continue
                refusals = self._attempts.failed(batch.tenant, progress.position, error, loop.time())
                if refusals < self._max_refusals:
                    return self._failed(progress, error)
                self._leave_out(batch.tenant, some[0], error)
                progress = progress._replace(refused=progress.refused + 1)
            else:
                progress = progress._replace(sent=progress.sent + len(some))
            self._passed(batch.tenant)
            progress = progress._replace(position=some[-1].position)
            first = end
        return progress

    def _end_of_call(self, tenant: str, encoded: Sequence[bytes], first: int) -> int:
        """Where the events of one call that begins at `first` end."""
        most = 1 if tenant in self._singly else self._sink.batch
        end, size = first + 1, len(encoded[first])
        while end < min(len(encoded), first + most) and size + len(encoded[end]) <= _MAX_BYTES:
            size += len(encoded[end])
            end += 1
        return end

    def _passed(self, tenant: str) -> None:
        """Notes that the events of a call were sent or left out."""
        if left := self._singly.pop(tenant, 1) - 1:
            self._singly[tenant] = left
        if self._attempts.succeeded(tenant):
            log.info(
                "the sink %s gets events of tenant %s again", self._sink.name, tenant,
                extra={"action": "event_sink_works", "sink": self._sink.name, "tenant": tenant},
            )  # fmt: skip

    async def _send(self, tenant: str, events: Sequence[bytes]) -> None:
        try:
            await self._sink.send(tenant, events)
        except NotSent:
            raise
        except Exception as error:  # a bug of a sink must not end the other sinks
            log.exception(
                "unexpected error of the sink %s", self._sink.name, extra={"action": "event_sink_defect"}
            )
            raise NotSent(f"unexpected {type(error).__name__}") from error

    def _failed(self, progress: SinkProgress, error: NotSent) -> SinkProgress:
        log.warning(
            "the sink %s %s; its events of tenant %s wait", self._sink.name, error, progress.tenant,
            extra={"action": "event_sink_failed", "sink": self._sink.name, "tenant": progress.tenant},
        )  # fmt: skip
        return progress._replace(failure=str(error))

    def _leave_out(self, tenant: str, refused: PublishedEvent, error: NotSent) -> None:
        event = refused.event
        log.error(
            "the sink %s %s to an event of tenant %s, %d times: it is left out",
            self._sink.name, error, tenant, self._max_refusals,
            extra={
                "action": "event_refused", "sink": self._sink.name, "tenant": tenant,
                "event_source": event.get("source"), "event_id": event.get("id"),
                "event_type": event.get("type"), "position": refused.position,
            },
        )  # fmt: skip
