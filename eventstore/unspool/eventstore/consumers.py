"""The processes that take part: their roles, and how much they have to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

WORKERS: Final = "workers"
EXECUTORS: Final = "executors"
SENDERS: Final = "senders"
TIMERS: Final = "timers"
APIS: Final = "apis"
"""The roles of consumers. Senders send published events to sinks. Timer services and APIs get no deliveries:
they only show that they are alive."""


class Load(StrEnum):
    """How much a worker has to do."""

    FREE = "free"
    """It would begin with more at once."""
    BUSY = "busy"
    FULL = "full"
    """Messages that it has received have waited for some time."""


class Capacity(NamedTuple):
    """What a consumer holds, and what it can hold."""

    used: int = 0
    most: int = 0
    """0 if it is not known."""


NO_CAPACITY: Final = Capacity()


class PayloadKeys(NamedTuple):
    """What a process tells of its keys for payloads, by their ids."""

    encrypts: str = ""
    """The key that it encrypts with; empty if it encrypts nothing."""
    decrypts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Those that it needed lately and does not have."""


NO_PAYLOAD_KEYS: Final = PayloadKeys()


def payload_keys_of(stored: Sequence[Any]) -> PayloadKeys:
    """Reads what a process told, from the JSON array of its members."""
    encrypts, decrypts, missing = stored
    return PayloadKeys(encrypts, tuple(decrypts), tuple(missing))


@dataclass(frozen=True, slots=True)
class Consumer:
    """A process that receives deliveries."""

    role: str
    """`WORKERS`, `EXECUTORS`, `SENDERS`, `TIMERS` or `APIS`."""
    name: str
    """Unique among live consumers."""
    queues: frozenset[str] = field(default_factory=frozenset)
    """Task queues it serves (executors)."""
