"""Records of published events, and of the subscriptions of executions to them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from unspool.definitions.json_value import Json

CloudEvent: TypeAlias = dict[str, Json]
"""A CloudEvent 1.0 as a JSON object, with its data in `data` or `data_base64` (structured mode)."""


class IndexEntry(NamedTuple):
    """Where a subscription stands in the index of subscriptions. Both are opaque to the store."""

    shape: str
    """What the key is computed from: names of attributes, and expressions. Many subscriptions share one."""
    key: str
    """Digest of the shape with the values that an event must have, without blanks.

    Events without this key need not be offered.
    """


class Subscription(NamedTuple):
    """A run of an execution that listens for events."""

    run: str
    entries: tuple[IndexEntry, ...]
    """An event with one of these keys is offered to the run, once."""
    look_back: bool = False
    """Whether events of the retention time that were matched before are offered to it too, first.

    Not those that the execution has consumed before it was opened.
    """
    consumed_later: int = 0
    """How many of the events that its commit consumes, the last ones, were consumed after it was opened."""


Shapes: TypeAlias = tuple[str, ...]
"""The shapes that open subscriptions have, each once.

A store returns the same object until they change, so what is computed from them can be kept by identity.
"""

KeysOf: TypeAlias = Callable[[Shapes, CloudEvent], Sequence[str]]
"""Returns the keys that an event has for these shapes."""


class PublishedEvent(NamedTuple):
    """An event on the bus of a tenant."""

    position: str
    """Opaque; increases along the bus."""
    event: CloudEvent
    published_at: int
    """When the bus got it, by the store's clock; milliseconds since 1970."""


class EventBatch(NamedTuple):
    """Published events of one tenant that come next for a reader of the bus, oldest first."""

    tenant: str
    events: tuple[PublishedEvent, ...]
    after: str
    """The position up to which the reader had passed all events when the batch was received."""
