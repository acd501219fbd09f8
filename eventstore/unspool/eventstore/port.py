"""The port of the event store: what every adapter promises, the same for all.

The contract suite in `tests/eventstore` holds each adapter to this text. Where a method can fail because
the store is away, it raises `StoreUnavailable`; that is not repeated below. Delivery is at least once,
commits are exactly once; nothing but `commit` decides who wins.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from unspool.eventstore.events import Event
from unspool.eventstore.records import (
    Commit,
    Consumer,
    DeadLetter,
    DeadLetterPage,
    Definition,
    Delivery,
    ExecutionFilter,
    ExecutionKey,
    ExecutionRecord,
    Fired,
    Loaded,
    Message,
    Outcome,
    Page,
    Renewal,
    Snapshot,
    Start,
    Stored,
    TaskRequest,
    WorkflowRef,
)

HEARTBEAT_SECONDS: Final = 1.0
"""How often a consumer shows that it lives."""

CONSUMER_TIMEOUT_SECONDS: Final = 3.0
"""Silence after which a consumer counts as gone."""


class Definitions(Protocol):
    """Definitions by tenant and identity; a stored one never changes."""

    async def put_definition(self, tenant: str, definition: Definition) -> Stored:
        """Stores a definition unless that version is there already."""

    async def definition(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> Definition | None:
        """One definition; without a version the highest by semantic versioning (`latest`)."""

    async def resolve(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> WorkflowRef | None:
        """The identity of the definition that `definition` would give, without reading it."""

    async def definitions(
        self, tenant: str, namespace: str | None = None, name: str | None = None
    ) -> list[Definition]:
        """All definitions of a tenant, or those of one name: by namespace and name, versions ascending."""


class Histories(Protocol):
    """Executions and their histories."""

    async def start(self, start: Start) -> bool:
        """Makes an execution, status pending, and its `start` message, in one step.

        Returns False, and changes nothing, when that key exists already.

        Raises:
            ValueError: the tenant or the id is not what `unspool.eventstore.ids` allows.
        """

    async def commit_all(self, commits: Sequence[Commit]) -> list[Outcome]:
        """Makes steps of different executions true, each for itself: one refused stops no other.

        A connection that breaks is retried with the same commit ids for some seconds before this raises.
        When it raises, some may have become true all the same. What one commit both sets and cancels (a
        task, a timer) is cancelled.
        """

    async def commit(self, commit: Commit) -> Outcome:
        """Makes one step true.

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
        """What is stored of executions; None for one that does not exist.

        Of a history no more than so many `entries` (commits) after the newest snapshot.

        Raises:
            CorruptHistory: an entry does not match its checksum or has an unknown format.
        """

    async def put_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> None:
        """Keeps a snapshot in place of the one before, unless that one is of a later version."""

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """What the index knows of one execution."""

    async def executions(
        self, tenant: str, wanted: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Executions, newest first.

        Raises:
            ValueError: the cursor is none of ours.
        """

    async def wait_for_version(self, key: ExecutionKey, after: int, seconds: float) -> None:
        """Returns once the history is newer than `after`, or when the time is over, whichever is first."""


class Inbox(Protocol):
    """The messages executions react to. Workers share it as a group; one message goes to one of them.

    A call to receive or reclaim that is cancelled loses nothing: what it had taken is delivered again.
    """

    async def send(self, tenant: str, message: Message) -> None:
        """Adds a message to an execution's inbox."""

    async def receive_messages(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[Message]]:
        """Takes up to `limit` messages, waiting up to `seconds` for the first."""

    async def reclaim_messages(self, consumer: Consumer, limit: int, lease: float) -> list[Delivery[Message]]:
        """Takes over messages whose consumer is gone, or that are out for longer than `lease` seconds."""

    async def renew_messages(self, consumer: Consumer, deliveries: Sequence[Delivery[Message]]) -> None:
        """Renews the leases of messages that a consumer still has in hand; of no others."""

    async def acknowledge(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """Removes messages that came to nothing, whoever holds them. Twice is as good as once."""

    async def release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> None:
        """Hands deliveries back, to be delivered again at once; counts as no attempt.

        What somebody else holds by now stays his.
        """


class Tasks(Protocol):
    """Work for executors, by queue, under a lease that is renewed while it is worked on.

    A cancelled task is not delivered any more; who holds it learns so from `renew`.
    """

    async def receive_tasks(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[TaskRequest]]:
        """Takes up to `limit` tasks from the consumer's queues, waiting up to `seconds` for the first."""

    async def reclaim_tasks(
        self, consumer: Consumer, limit: int, lease: float
    ) -> list[Delivery[TaskRequest]]:
        """Takes over tasks whose consumer is gone, or whose lease of `lease` seconds was not renewed."""

    async def renew_tasks(
        self, consumer: Consumer, deliveries: Sequence[Delivery[TaskRequest]]
    ) -> list[Renewal]:
        """The heartbeat: renews leases and learns which tasks were cancelled, in the order given."""

    async def finish_task(self, delivery: Delivery[TaskRequest], result: Message | None) -> None:
        """Sends a task's result to its execution and acknowledges the task, in one step.

        None for the result of a cancelled task: it is only acknowledged. Of several who had the task on
        lease the first to finish wins; the results of the others are not sent.
        """


class Timers(Protocol):
    """Timers set by commits."""

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """Turns up to `limit` timers, due by the store's clock, into `timer.fired` messages, each once.

        Safe to call from several services at once.
        """

    async def wait_for_timers(self, seconds: float) -> None:
        """Returns early when a timer is set that is due before all others.

        The others are those `fire_due_timers` of this store last knew of: what was set since is not missed.
        """

    async def now(self) -> int:
        """The store's clock, milliseconds since 1970."""


class DeadLetters(Protocol):
    """What failed too often."""

    async def move_to_dead_letters(
        self, delivery: Delivery[Message] | Delivery[TaskRequest], error: str, traceback: str
    ) -> str:
        """Moves a delivery to the dead letters, in one step; returns the dead letter's id.

        Raises:
            NotFound: it has been dealt with in the meantime.
        """

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """Dead letters, oldest first; those behind a cursor.

        Raises:
            ValueError: the cursor is none that a page gave.
        """

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002
        """One dead letter."""

    async def requeue(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """Puts a dead letter back where it came from, its attempts counted anew; False if it is gone."""

    async def discard(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """Forgets a dead letter; False if it is gone."""


class EventStore(Definitions, Histories, Inbox, Tasks, Timers, DeadLetters, Protocol):
    """Everything an engine needs to remember."""

    async def open(self) -> None:
        """Connects and prepares the store.

        Raises:
            StoreMismatch: it was made with another layout.
        """

    async def close(self) -> None:
        """Lets go of connections and threads; pending calls fail with `StoreUnavailable`."""

    async def ping(self) -> None:
        """Raises `StoreUnavailable` if the store does not answer."""

    async def heartbeat(self, consumer: Consumer) -> None:
        """Tells that a consumer lives, every `HEARTBEAT_SECONDS`.

        After `CONSUMER_TIMEOUT_SECONDS` of silence its deliveries are orphans, to those who beat themselves.
        """

    async def deregister(self, consumer: Consumer) -> None:
        """Takes a consumer out of its group; what it still holds is delivered to others at once."""

    async def queues_served(self) -> frozenset[str]:
        """Task queues that at least one live executor serves."""
