"""What an execution has consumed of a subscription, by its history."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from unspool.eventstore.events import Event
from unspool.eventstore.records import ExecutionKey, TaskRequest
from unspool.executor.task_context import TaskStore

_MOST_IDS: Final = 10_000
"""Ids of consumed messages that are remembered, to recognise those that the broker delivers again."""

_MOST_EVENTS: Final = 500
_RUN_ENDED: Final = frozenset(
    {"subscription.completed", "task.completed", "task.faulted", "task.cancelled", "task.retried"}
)
_EXECUTION_ENDED: Final = frozenset({"workflow.completed", "workflow.faulted", "workflow.cancelled"})


class Consumption:
    """Follows the history of an execution."""

    def __init__(
        self, store: TaskStore, key: ExecutionKey, request: TaskRequest, limits: Mapping[str, int]
    ) -> None:
        """`limits` has `since`, a version of the history, and what was consumed up to that version."""
        self._store = store
        self._key = key
        self._run = request.run.partition(".")[0]
        self._version = limits["since"]
        self._ids: OrderedDict[str, None] = OrderedDict()
        self.sender = secrets.token_hex(8)
        """Tells the messages of this executor from those of another one."""
        self.received = limits["place"]
        """How many messages the execution has."""
        self.processed = limits["processed"]
        """How many of them `foreach` has processed."""
        self.accepted = 0
        """How many of them this executor has sent."""
        self.ended = False
        """Whether the execution takes no more messages."""

    def has(self, id_: str) -> bool:
        """Whether the execution has a message with an id of the broker."""
        return bool(id_) and id_ in self._ids

    async def catch_up(self) -> None:
        """Reads what is new."""
        while True:
            events = await self._store.history(self._key, after=self._version, limit=_MOST_EVENTS)
            for event in events:
                self._version = event.seq
                self._apply(event)
            if len(events) < _MOST_EVENTS:
                return

    async def wait(self, seconds: float) -> None:
        """Waits until something is new, at most so many seconds, and reads it."""
        await self._store.wait_for_version(self._key, self._version, seconds)
        await self.catch_up()

    def _apply(self, event: Event) -> None:
        if event.type in _EXECUTION_ENDED or (event.run == self._run and event.type in _RUN_ENDED):
            self.ended = True
        elif event.run == self._run and event.type == "message.processed":
            self.processed += 1
        elif event.run == self._run and event.type == "messages.received":
            count = len(event.data["messages"])
            self.received += count
            if event.data["sender"] == self.sender:
                self.accepted += count
            for id_ in event.data.get("ids", ()):
                self._ids[id_] = None
                if len(self._ids) > _MOST_IDS:
                    self._ids.popitem(last=False)
