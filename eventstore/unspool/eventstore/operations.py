"""What operators see of a store: who is alive, and what waits. A part of the port of the event store."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from unspool.definitions.release_level import LEVEL
from unspool.eventstore.consumers import (
    APIS,
    EXECUTORS,
    NO_PAYLOAD_KEYS,
    SENDERS,
    TIMERS,
    WORKERS,
    Capacity,
    Load,
    PayloadKeys,
)
from unspool.eventstore.stored_records import StoredRecord
from unspool.eventstore.this_process import Process

_SERVICES: Final = {
    WORKERS: "worker",
    EXECUTORS: "executor",
    SENDERS: "transports",
    TIMERS: "timer",
    APIS: "api",
}


class LiveConsumer(NamedTuple):
    """A service that is alive."""

    role: str
    """`WORKERS`, `EXECUTORS`, `SENDERS`, `TIMERS` or `APIS`."""
    name: str
    queues: tuple[str, ...]
    """Task queues that it serves, in order."""
    load: Load
    capacity: Capacity
    process: Process | None
    """None for release 0.1, which does not tell it."""
    clock_ahead: float = 0.0
    """By how many seconds the clock of its machine was ahead of that of the store, at its last heartbeat."""
    keys: PayloadKeys = NO_PAYLOAD_KEYS

    @property
    def service(self) -> str:
        """The name of its service: `worker`, `executor`, `transports`, `timer` or `api`."""
        return _SERVICES.get(self.role, self.role)


def known_level(consumers: Iterable[LiveConsumer]) -> int:
    """The level of features of definitions that all of these services know."""
    return min((each.process.level if each.process else 0 for each in consumers), default=LEVEL)


class Waiting(NamedTuple):
    """The entries of a queue, summed over all tenants."""

    waiting: int = 0
    """Entries that no consumer holds."""
    held: int = 0
    oldest_at: int | None = None
    """When the oldest entry that waits was added, milliseconds since 1970; None without one, or for entries
    of release 0.1."""


class Backlog(NamedTuple):
    """What waits in the whole store."""

    inbox: Waiting
    tasks: dict[str, Waiting]
    """By queue."""
    dead_letters: Waiting
    """`held` is 0."""
    next_timer_at: int | None
    """When the earliest timer is due, milliseconds since 1970; it may be in the past."""


class Finding(NamedTuple):
    """Something of a store that should be changed."""

    check: str
    """What was checked: one word or two, the same for each release."""
    must: bool
    """Whether it must change: data can be lost, or work stands still."""
    problem: str
    advice: str


class Inspection(NamedTuple):
    """What an adapter says of its store."""

    facts: dict[str, str | int | float | bool | None]
    findings: list[Finding]


class Operations(Protocol):
    """For operators. No call is part of the work of a service."""

    async def live_consumers(self) -> list[LiveConsumer]:
        """The services whose last heartbeat is younger than `CONSUMER_TIMEOUT_SECONDS`, by role and name."""

    async def backlog(self, queues: Collection[str]) -> Backlog:
        """What waits. The cost grows with tenants and queues, and on SQLite with what waits.

        Args:
            queues: the task queues to look at. The result has these, and may have others.
        """

    def missing_keys(self) -> list[str]:
        """The ids of keys for payloads that this process needed in the last minute and does not have."""

    def stored_records(self) -> AsyncIterator[Sequence[StoredRecord]]:
        """Everything that can have a payload, of all tenants, in pieces of bounded size, as it is stored.

        A record that moves from one queue to another meanwhile may come twice, but is not missed. A dead
        letter that is requeued meanwhile may be missed.
        """

    async def inspect(self) -> Inspection:
        """Checks how the store is set up."""
