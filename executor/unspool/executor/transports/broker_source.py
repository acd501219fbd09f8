"""Publishes the CloudEvents of a channel of a message broker on the event bus.

A message is acknowledged after its event is on the bus, so a message of a protocol that keeps messages is not
lost. One that is delivered again is the same event, which the bus has already.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.retry import retry_until_available
from unspool.eventstore.waiting import done_before
from unspool.executor.brokers.port import BrokerError, InboundMessage, Subscriber, Subscription
from unspool.executor.brokers.protocols import Connect, ExtraMissing
from unspool.executor.outbound import Outbound
from unspool.executor.transports.broker_address import BrokerAddress
from unspool.executor.transports.cloud_event_messages import event_of
from unspool.executor.transports.source_loop import SourceLoop
from unspool.executor.transports.stream_entry import MAX_BYTES, NoEvent

log = logging.getLogger(__name__)

_BATCH: Final = 100
_END_SECONDS: Final = 1.0
"""How long a read that is cancelled may take to end. After that the connection is closed."""

_NAME: Final = "unspool-events"
"""Executors subscribe with the same name, so a broker that can do it gives each message to one of them."""


class BrokerSource:
    """Reads one channel."""

    def __init__(
        self, store: EventStore, address: BrokerAddress, outbound: Outbound, connect: Callable[[], Connect]
    ) -> None:
        """`connect` imports the adapter; see `protocols.connector`."""
        self._store = store
        self._address = address
        self._outbound = outbound
        self._connect = connect
        self._loop = SourceLoop(store, "channel", address.place, (BrokerError, ExtraMissing, OSError))

    async def run(self) -> None:
        """Publishes events until `stop`, and connects again after failures of the broker."""
        await self._loop.run(self._read_until_stopped)

    def stop(self) -> None:
        """Asks it to finish. Messages that are not acknowledged are delivered again."""
        self._loop.stopping.set()

    async def _read_until_stopped(self) -> None:
        await done_before(self._read(), self._loop.stopping.wait())

    async def _read(self) -> None:
        connect = await asyncio.to_thread(self._connect)
        subscriber = Subscriber(_NAME, MAX_BYTES, _BATCH)
        async with (
            connect(self._address.server, self._outbound) as broker,
            broker.subscribe(self._address.channel, subscriber) as subscription,
        ):
            await self._loop.record()
            await self._publish_all(subscription)

    async def _publish_all(self, subscription: Subscription) -> None:
        """Publishes messages as they arrive. Those that arrive while others are published are one batch."""
        following = asyncio.ensure_future(subscription.next())
        try:
            while True:
                batch = [await following]
                following = asyncio.ensure_future(subscription.next())
                while len(batch) < _BATCH and await _has_arrived(following):
                    batch.append(following.result())
                    following = asyncio.ensure_future(subscription.next())
                published, refused = await self._publish(batch)
                await subscription.acknowledge(batch)
                await self._loop.record(published, refused)
        finally:
            following.cancel()
            await asyncio.wait({following}, timeout=_END_SECONDS)

    async def _publish(self, messages: Sequence[InboundMessage]) -> tuple[int, int]:
        """Publishes the events in messages; returns how many were published, and how many left out."""
        events: list[CloudEvent] = []
        for message in messages:
            try:
                events.append(event_of(message, self._address))
            except NoEvent as error:
                self._leave_out(message, error)
        published = 0
        if events:
            publish = partial(self._store.publish, self._address.tenant, events)
            published = await retry_until_available(publish)
        return published, len(messages) - len(events)

    def _leave_out(self, message: InboundMessage, error: NoEvent) -> None:
        place = self._address.place
        log.error(
            "a message of %s is left out: %s", place, error,
            extra={"action": "message_refused", "channel": place, "entry": message.id},
        )  # fmt: skip


async def _has_arrived(following: "asyncio.Future[InboundMessage]") -> bool:
    """Whether the next message is there without a wait."""
    await asyncio.sleep(0)
    return following.done() and not following.cancelled() and following.exception() is None
