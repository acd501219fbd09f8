"""Sends published events to the executions that listen for them."""

from functools import partial
from typing import Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.event_bus import EventBus
from unspool.eventstore.retry import retry_until_available
from unspool.worker.interpreter.event_index import EventKeys

_BATCH: Final = 256
"""Events that are matched together, at most."""

_WAIT_SECONDS: Final = 1.0


class Correlator:
    """Matches the events of all tenants with the subscriptions of their executions.

    Every worker has one. At any time, at most one works on the events of a tenant; the store sees to it.
    """

    def __init__(self, bus: EventBus, consumer: Consumer) -> None:
        self._bus = bus
        self._consumer = consumer
        self._keys = EventKeys()

    async def run(self) -> None:
        """Matches events until it is cancelled."""
        receive = partial(self._bus.receive_events, self._consumer, _BATCH, _WAIT_SECONDS)
        while True:
            batch = await retry_until_available(receive)
            if batch is not None:
                await retry_until_available(partial(self._bus.match, batch, self._keys))
