"""The operations on an execution: in which statuses they are allowed, and when they have taken effect."""

from typing import Final

from unspool.eventstore.idempotency_keys import has_its_key
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionRecord, MessageKind, Status

_ACTIVE: Final = frozenset({Status.PENDING, Status.RUNNING, Status.WAITING})

ALLOWED: Final = {
    MessageKind.CANCEL: _ACTIVE | {Status.SUSPENDED},
    MessageKind.SUSPEND: _ACTIVE,
    MessageKind.RESUME: frozenset({Status.SUSPENDED}),
    MessageKind.RETRY: frozenset({Status.FAULTED}),
}
"""The statuses in which each operation is allowed."""

_EFFECTS: Final = {
    MessageKind.CANCEL: "workflow.cancelled",
    MessageKind.SUSPEND: "workflow.suspended",
    MessageKind.RESUME: "workflow.resumed",
    MessageKind.RETRY: "workflow.retried",
}
"""The event that each operation adds to the history when a worker applies it."""

_PAGE: Final = 500
"""Events per read from the store."""

_CHECK_SECONDS: Final = 30.0
"""The longest pause between two reads of an execution without new events."""


class NotAllowed(Exception):
    """The execution does not allow the operation, mostly because of its status."""


def check_allowed(kind: MessageKind, status: Status) -> None:
    """Checks that an operation is allowed in a status.

    Raises:
        NotAllowed: it is not; the text follows the name of an execution.
    """
    allowed = ALLOWED[kind]
    if status not in allowed:
        raise NotAllowed(
            f"is {status}; {kind} requires one that is {' or '.join(s for s in Status if s in allowed)}"
        )


async def check_allowed_now(store: EventStore, kind: MessageKind, record: ExecutionRecord) -> None:
    """Checks that an operation is allowed on an execution as it is now.

    Raises:
        NotAllowed: it is not; the text follows the name of an execution.
    """
    check_allowed(kind, record.status)
    if kind is MessageKind.RETRY and not await has_its_key(store, record):
        raise NotAllowed(
            f"has lost its idempotency key to a later one; start {record.workflow} again instead"
        )


async def wait_for_effect(store: EventStore, kind: MessageKind, record: ExecutionRecord) -> None:
    """Returns when the operation has taken effect: its event is in the history.

    Args:
        store: the store of the execution.
        kind: the operation.
        record: the execution, as read before the operation was requested.

    Raises:
        NotAllowed: the status changed before the operation took effect and does not allow it any more.
    """
    seen, effect = record.version, _EFFECTS[kind]
    while True:
        # Read the record first: if its status does not allow the operation and there are no newer events,
        # the operation had no effect.
        latest = await store.execution(record.key) or record
        events = await store.history(record.key, after=seen, limit=_PAGE)
        if any(event.type == effect for event in events):
            return
        if events:
            seen = events[-1].seq
            continue
        check_allowed(kind, latest.status)
        await store.wait_for_version(record.key, seen, _CHECK_SECONDS)
