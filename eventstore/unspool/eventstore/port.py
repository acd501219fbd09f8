"""The port of the event store: the contract of every adapter.

The contract tests in `tests/eventstore` check each adapter against this text. Any method raises
`StoreUnavailable` while the store is unavailable; that is not repeated below. Delivery is at least once,
commits are exactly once. If several writers compete, only `commit` decides which one succeeds.
"""

from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol

from unspool.eventstore.api_keys import ApiKeys
from unspool.eventstore.consumers import NO_CAPACITY, NO_PAYLOAD_KEYS, Capacity, Consumer, Load, PayloadKeys
from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.event_bus import EventBus
from unspool.eventstore.events import Event
from unspool.eventstore.functions import Functions
from unspool.eventstore.idempotency_keys import IdempotencyKeys
from unspool.eventstore.listing import Count, ExecutionFilter, Page
from unspool.eventstore.operations import Operations
from unspool.eventstore.rate_limits import RateLimits
from unspool.eventstore.records import (
    Commit,
    Definition,
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Loaded,
    Message,
    Snapshot,
    Start,
    Status,
    TaskRequest,
    WorkflowRef,
)
from unspool.eventstore.results import Fired, Outcome, Renewal, Stored
from unspool.eventstore.retention import Retention
from unspool.eventstore.sinks import EventSinks
from unspool.eventstore.sources import EventSources
from unspool.eventstore.texts import Texts

HEARTBEAT_SECONDS: Final = 1.0
"""Interval of heartbeats."""

CONSUMER_TIMEOUT_SECONDS: Final = 3.0
"""Time without a heartbeat after which a consumer counts as gone."""


class Definitions(Protocol):
    """Definitions by tenant and identity; a stored one never changes."""

    async def put_definition(self, tenant: str, definition: Definition) -> Stored:
        """Stores a definition unless that version exists."""

    async def definition(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> Definition | None:
        """One definition; without a version the highest by semantic versioning (`latest`)."""

    async def resolve(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> WorkflowRef | None:
        """The identity of the definition that `definition` would return, without reading its text."""

    async def definitions(
        self, tenant: str, namespace: str | None = None, name: str | None = None
    ) -> list[Definition]:
        """All definitions of a tenant, or those of one name: by namespace and name, versions ascending."""


class Histories(Protocol):
    """Executions and their histories."""

    async def start(self, start: Start) -> bool:
        """Creates a pending execution and its `start` message in one step.

        Returns False, without changes, if the key exists.

        Raises:
            ValueError: `unspool.eventstore.ids` does not allow the tenant or the id.
        """

    async def commit_all(self, commits: Sequence[Commit]) -> list[Outcome]:
        """Applies steps of different executions. A refused step does not affect the others.

        If the connection breaks, the call is retried with the same commit ids for some seconds. When it
        raises, some steps may have been applied. A task or timer that one commit both sets and cancels is
        cancelled.

        The outgoing starts, messages and events of a commit are applied once, in the order of the sender's
        commits. If the process ends before it has delivered them, `deliver_outgoing` of another process does.
        """

    async def deliver_outgoing(self) -> int:
        """Delivers outgoing starts, messages and events that other processes committed but did not deliver.

        Call it about every second. Several processes may call it at once.

        Returns:
            The number of commits whose outgoing part was delivered.
        """

    async def commit(self, commit: Commit) -> Outcome:
        """Applies one step.

        Raises:
            NotFound: there is no such execution.
        """

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """The events after number `after`, in order; at most `limit`. Empty if there are none.

        Raises:
            CorruptHistory: an entry does not match its checksum or has an unknown format.
        """

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """The newest event."""

    async def load(self, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        """The stored data of executions; None for one that does not exist.

        Of each history at most `entries` entries (commits) after the newest snapshot.

        Raises:
            CorruptHistory: an entry does not match its checksum or has an unknown format.
        """

    async def trim_history(self, key: ExecutionKey, before: int) -> None:
        """Deletes the entries of a history that end before event `before`, an event of that history.

        Only for histories whose later events do not need the earlier ones. Idempotent.
        """

    async def put_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> None:
        """Replaces the snapshot, unless the stored one has a later version."""

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """The index record of one execution."""

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Executions, newest first. Those of built-in programs are listed only by their workflow.

        The work of one call does not grow with the number of executions; see `Page.cursor`.

        Raises:
            ValueError: the cursor is not valid.
        """

    async def count_executions(self, tenant: str) -> dict[Status, Count]:
        """How many executions are in each status, without those of built-in programs.

        The work does not grow with the number of executions; a store may count only up to a limit.
        """

    async def wait_for_version(self, key: ExecutionKey, after: int, seconds: float) -> None:
        """Returns when the history is newer than `after`, or after `seconds`."""


class Inbox(Protocol):
    """The messages of executions. Workers share them as a group; each message goes to one worker.

    A cancelled call to receive or reclaim loses nothing: deliveries that it had taken are delivered again.
    """

    async def send(self, tenant: str, message: Message) -> None:
        """Adds a message to an execution's inbox."""

    async def receive_messages(
        self, consumer: Consumer, limit: int, seconds: float, skip: frozenset[str] = frozenset()
    ) -> list[Delivery[Message]]:
        """Takes up to `limit` messages, waiting up to `seconds` for the first.

        Tenants are served in turn: many messages of one tenant do not delay the others. Messages of the
        tenants in `skip` stay in the inbox, except those whose earlier delivery to this consumer was lost.
        """

    async def reclaim_messages(self, consumer: Consumer, limit: int, lease: float) -> list[Delivery[Message]]:
        """Takes over messages whose consumer is gone, or whose lease of `lease` seconds was not renewed.

        A lease does not end because the wall clock jumps.
        """

    async def renew_messages(self, consumer: Consumer, deliveries: Sequence[Delivery[Message]]) -> None:
        """Renews the leases of messages that the consumer still holds."""

    async def acknowledge(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """Removes messages, also if another consumer holds them now. Idempotent."""

    async def release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> None:
        """Returns deliveries to their queue; they are delivered again at once. The attempt is not counted.

        Deliveries that another consumer holds now are not affected.
        """

    async def give_back(self, deliveries: Sequence[Delivery[Message]]) -> list[Delivery[Message]]:
        """Releases messages that the consumer has not begun with, for a consumer that has room.

        The attempt is not counted. Returns those that it must keep: if they were delivered again, newer
        messages of their executions could be delivered before them.
        """


class Tasks(Protocol):
    """Work for executors, by queue, under a lease that the executor renews.

    A cancelled task is no longer delivered. The consumer that holds it gets `CANCELLED` from `renew_tasks`.
    """

    async def receive_tasks(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[TaskRequest]]:
        """Takes up to `limit` tasks from the consumer's queues, waiting up to `seconds` for the first."""

    async def reclaim_tasks(
        self, consumer: Consumer, limit: int, lease: float
    ) -> list[Delivery[TaskRequest]]:
        """Takes over tasks whose consumer is gone, or whose lease of `lease` seconds was not renewed.

        A lease does not end because the wall clock jumps.
        """

    async def renew_tasks(
        self, consumer: Consumer, deliveries: Sequence[Delivery[TaskRequest]]
    ) -> list[Renewal]:
        """Renews leases; returns the results in the order given, including which tasks were cancelled."""

    def finish_task(self, delivery: Delivery[TaskRequest], result: Message | None) -> Awaitable[None]:
        """Sends a task's result to its execution and acknowledges the task, in one step.

        Call it in an event loop and await it at once: it may return a future, which costs less than a
        coroutine in each wrapper of a store. If the result is None (for a cancelled task), the task is only
        acknowledged. If several consumers held the task, only the first result is sent.
        """


class Timers(Protocol):
    """Timers set by commits."""

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """Turns up to `limit` timers, due by the store's clock, into `timer.fired` messages, each once.

        Several services may call it at once.
        """

    async def wait_for_timers(self, seconds: float) -> None:
        """Waits up to `seconds`; returns early when a timer is set that is due before all others.

        The others are the timers that the last `fire_due_timers` of this store saw, so a timer that is set
        after that call is not missed.
        """

    async def now(self) -> int:
        """The store's clock, milliseconds since 1970."""


class DeadLetters(Protocol):
    """The dead letter queue: deliveries that failed too often."""

    async def move_to_dead_letters(
        self, delivery: Delivery[Message] | Delivery[TaskRequest], error: str, traceback: str
    ) -> str:
        """Moves a delivery to the dead letter queue in one step; returns the dead letter's id.

        Raises:
            NotFound: the delivery was acknowledged or finished.
        """

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """Dead letters after the cursor, oldest first.

        Raises:
            ValueError: the cursor is not valid.
        """

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002
        """One dead letter."""

    async def requeue(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """Returns a dead letter to its queue, with a new count of attempts; False if it does not exist.

        If the execution no longer waits for the task (the run was cancelled or the execution has ended), the
        dead letter is only removed: the task is not delivered again.
        """

    async def discard(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """Deletes a dead letter; False if it does not exist."""

    async def dead_letters_before(self, time: int, limit: int) -> list[DeadLetter]:
        """Dead letters of all tenants that were added before a time, milliseconds since 1970.

        At most `limit`; the oldest ones of each part of the store.
        """


class EventStore(
    Definitions,
    Texts,
    Histories,
    IdempotencyKeys,
    Inbox,
    Tasks,
    Timers,
    DeadLetters,
    EventBus,
    EventSinks,
    EventSources,
    Functions,
    RateLimits,
    ApiKeys,
    Retention,
    Operations,
    Protocol,
):
    """The complete store."""

    async def open(self) -> None:
        """Connects and prepares the store.

        Raises:
            StoreMismatch: the store has another layout.
        """

    async def close(self) -> None:
        """Closes connections and threads; pending calls raise `StoreUnavailable`."""

    async def ping(self) -> None:
        """Raises `StoreUnavailable` if the store does not answer."""

    async def heartbeat(
        self,
        consumer: Consumer,
        load: Load = Load.FREE,
        capacity: Capacity = NO_CAPACITY,
        keys: PayloadKeys = NO_PAYLOAD_KEYS,
    ) -> None:
        """Shows that a consumer is alive, its load and what it holds; call it every `HEARTBEAT_SECONDS`.

        A store with keys for payloads tells them instead of `keys`.

        After `CONSUMER_TIMEOUT_SECONDS` without one, consumers that send heartbeats take over its deliveries.
        """

    async def others_free(self, consumer: Consumer) -> int:
        """How many other live consumers of the role, with all of its queues, were `FREE` at their last
        heartbeat.
        """

    async def deregister(self, consumer: Consumer) -> None:
        """Removes a consumer from its group; its deliveries are available to other consumers at once."""

    async def queues_served(self) -> Counter[str]:
        """The task queues that live executors serve, with the number of these executors."""
