"""What a store holds, piece by piece, as it is stored: to see which keys its payloads need."""

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import ExecutionRecord, Message, Outgoing, Snapshot, TaskRequest


class RecordKind(StrEnum):
    """The kinds of records that can have payloads."""

    EXECUTION = "executions"
    """The record of an execution: its input before the first commit, and the value of its idempotency key."""
    HISTORY = "historyEvents"
    SNAPSHOT = "snapshots"
    MESSAGE = "messages"
    TASK = "tasks"
    OUTGOING = "outgoing"
    """Starts, messages and events that a commit has sent and that are not delivered yet."""
    EVENT = "events"
    """Published events."""
    DEAD_LETTER = "deadLetters"
    TEXT = "texts"
    """Texts of external resources."""
    UNREADABLE = "unreadable"
    """Entries that this release cannot read."""


Content: TypeAlias = (
    ExecutionRecord
    | Event
    | Snapshot
    | Message
    | TaskRequest
    | Outgoing
    | PublishedEvent
    | DeadLetter
    | bytes
)
"""A record as it is stored; bytes for a text, and for what this release cannot read."""


class StoredRecord(NamedTuple):
    """A record of any tenant that can have a payload."""

    kind: RecordKind
    content: Content
