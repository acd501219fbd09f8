"""Finds executions that have ended and deletes them with all that belongs to them. A part of the port."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from unspool.eventstore.records import ExecutionKey, ExecutionRecord


class Retention(Protocol):
    """The executions that have ended, of all tenants, by the time at which they are due for a look.

    That is the time when they ended, until `look_again_at` sets another one. Several services may call these
    methods at once. Each call is short, so that other calls do not wait.
    """

    async def index_ended(self, limit: int) -> int:
        """Adds executions that ended before the store had this index; looks at about `limit`.

        Returns how many it looked at; 0 if none is missing. Call it until then.
        """

    async def index_existing(self, limit: int) -> int:
        """Adds executions that an earlier release started to the indexes by id and parent, which it had not.

        Looks at about `limit`. Returns how many it looked at; 0 if none is missing. Call it until then.
        """

    async def ended_before(self, time: int, limit: int) -> list[ExecutionRecord]:
        """Up to `limit` ended executions that are due before a time, milliseconds since 1970.

        Of each part of the store those that are due first. `pending_input` is None.
        """

    async def look_again_at(self, times: Mapping[ExecutionKey, int]) -> None:
        """Sets the times at which ended executions are due, milliseconds since 1970; ignores others.

        If an execution is retried and ends again, its time may be forgotten.
        """

    async def drop(self, records: Sequence[ExecutionRecord]) -> list[bool]:
        """Deletes executions: record, history, snapshot, and their places in all indexes.

        Each is deleted completely or not at all. One stays if its version is no longer that of the record, if
        it has not ended, or if it is needed: a dead letter refers to it, or its messages to other executions
        are not delivered yet. Its idempotency key stays, see `IdempotencyKeys.release_key`.

        Returns for each whether this call has deleted it.
        """
