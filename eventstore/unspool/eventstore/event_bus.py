"""The event bus: a part of the port of the event store."""

from collections.abc import Sequence
from typing import Final, Protocol

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.published_events import CloudEvent, EventBatch, KeysOf, PublishedEvent, Shapes

BEFORE_ALL: Final = "0"
"""The position before all events of a bus."""

KEPT_EVENTS: Final = 1_000
"""How many events a bus keeps after they are matched: the newest ones."""

KEPT_ACCEPTANCES: Final = 1_000
"""How many times that an execution accepted an event each part of a store remembers: the newest ones."""


class EventBus(Protocol):
    """The published events of each tenant, in order, and the subscriptions of its executions.

    Commits publish events and open and close subscriptions. Each run that is subscribed gets each event that
    is published after the commit which opened its subscription and that has one of its keys: once, in the
    order of the bus, as an `event` message. It also gets earlier events that were not matched yet when its
    subscription was opened.

    A subscription that was opened with `look_back` is first offered the events that were matched before it
    was opened, if they have one of its keys, were published within `UNSPOOL_EVENT_RETENTION` seconds, and
    were not consumed by a commit of its execution: once, in order, before all later events.
    """

    async def publish(self, tenant: str, events: Sequence[CloudEvent]) -> int:
        """Appends events to the bus of a tenant, in order and in one step; returns how many.

        Leaves out an event whose `source` and `id` were published less than `UNSPOOL_EVENT_DEDUPLICATION`
        seconds ago. So a call whose reply was lost can be repeated.

        Raises:
            ValueError: `unspool.eventstore.ids` does not allow the tenant.
        """

    async def receive_events(self, consumer: Consumer, limit: int, seconds: float) -> EventBatch | None:
        """The oldest events of one tenant that are not matched with all subscriptions, at most `limit`.

        Waits up to `seconds` for one; then returns None. Tenants are served in turn. Until the batch is
        matched, other consumers do not get the tenant's events, unless this consumer is gone. A batch without
        events says that runs look back.
        """

    async def let_go(self, consumer: Consumer, tenant: str) -> None:
        """Lets other consumers have the events that this one has received and does not match."""

    async def match(self, batch: EventBatch, keys_of: KeysOf) -> int:
        """Sends each event to the runs that are subscribed to one of its keys; returns how many messages.

        The store remembers in the same step how far it has matched. So a batch that is matched again, by
        several consumers or after a crash, sends nothing twice. An event that many runs wait for is sent in
        pieces. Runs that look back are served first.

        Args:
            batch: from `receive_events`.
            keys_of: returns the keys of an event for the shapes that subscriptions of the tenant have.
        """

    async def published_events(
        self, tenant: str, *, after: str | None = None, limit: int = 100
    ) -> list[PublishedEvent]:
        """Events on the bus after a position, oldest first; without a position the newest ones.

        The position `BEFORE_ALL` is before all events.

        The bus keeps the events that are not matched, those that sinks have not passed (`EventSinks`), those
        of the retention time, and the newest `KEPT_EVENTS` of all.

        Raises:
            ValueError: the position is not valid.
        """

    async def published_event(self, tenant: str, position: str) -> PublishedEvent | None:
        """The event at a position of the bus; None if the bus has none there, or no longer.

        Raises:
            ValueError: the position is not valid.
        """

    async def accepted_by(self, tenant: str, event: CloudEvent) -> list[str]:
        """The executions that accepted an event (`Commit.consumed`), the first one first.

        The store remembers the newest `KEPT_ACCEPTANCES` of a tenant, at least. An execution may have been
        deleted since.
        """

    async def listening(self, tenant: str, limit: int, keys: Sequence[str] | None = None) -> list[str]:
        """Executions that have a subscription; with `keys`, one with one of these keys.

        At most `limit`; which of them, if there are more, is not defined.
        """

    async def shapes(self, tenant: str) -> Shapes:
        """The shapes that the open subscriptions of a tenant have."""

    async def wait_for_events(self, tenant: str, after: str | None, seconds: float) -> None:
        """Returns when the bus has an event after a position, or any if it is None, or after `seconds`.

        Raises:
            ValueError: the position is not valid.
        """
