"""What the heartbeats of consumers tell, as a member of a hash: how it is written and read."""

import os
import time
from typing import Final, NamedTuple

import orjson

from unspool.eventstore.consumers import (
    NO_CAPACITY,
    NO_PAYLOAD_KEYS,
    Capacity,
    Consumer,
    Load,
    PayloadKeys,
    payload_keys_of,
)
from unspool.eventstore.this_process import Process, this_process

_WITH_PROCESS: Final = 6
"""Values of a heartbeat that tells its process and its time; release 0.1 sends fewer."""

_WITH_CLOCK: Final = 7
_WITH_KEYS: Final = 8


class Heartbeat(NamedTuple):
    """The last heartbeat of a consumer."""

    queues: tuple[str, ...]
    load: Load
    """Busy for release 0.1, which does not send it."""
    capacity: Capacity = NO_CAPACITY
    process: Process | None = None
    keys: PayloadKeys = NO_PAYLOAD_KEYS
    sent_at: int | None = None
    """By the clock of Redis, milliseconds since 1970; None for release 0.1."""
    clock_ahead: float = 0.0
    """By how many seconds the clock of the sender was ahead of that of Redis."""


class Heartbeats:
    """Creates the heartbeats of one consumer; each is different, also from those of an earlier process."""

    def __init__(self, consumer: Consumer) -> None:
        self._process = os.urandom(6).hex()
        self._count = 0
        self._queues = sorted(consumer.queues)

    def next(
        self, load: Load, capacity: Capacity = NO_CAPACITY, payload_keys: PayloadKeys = NO_PAYLOAD_KEYS
    ) -> bytes:
        """The next heartbeat: id, queues, load, process, capacity, keys, time here in milliseconds.

        The script adds the time of Redis.
        """
        self._count += 1
        about = (list(this_process()), list(capacity), list(payload_keys), time.time_ns() // 1_000_000)
        return orjson.dumps([f"{self._process}-{self._count}", self._queues, load, *about])


def heartbeat_of(stored: bytes) -> Heartbeat:
    """Reads a heartbeat, also one of an earlier release, which tells less."""
    values = orjson.loads(stored)
    queues, load = tuple(values[1]), Load(values[2]) if len(values) > 2 else Load.BUSY
    if len(values) < _WITH_PROCESS:
        return Heartbeat(queues, load)
    return Heartbeat(
        queues,
        load,
        Capacity(*values[4]),
        Process(*values[3]),
        payload_keys_of(values[5]) if len(values) >= _WITH_KEYS else NO_PAYLOAD_KEYS,
        int(values[-1]),
        (values[-2] - values[-1]) / 1000 if len(values) >= _WITH_CLOCK else 0.0,
    )
