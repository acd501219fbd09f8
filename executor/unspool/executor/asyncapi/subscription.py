"""Consumes messages for an execution, until it has enough.

A message is sent to the execution, which adds it to its history. Only then the broker is told that it is
consumed. If the executor dies in between, the broker delivers it again, if the protocol can do that; a
message with an id of the broker is then recognised.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.records import ExecutionKey, Message, MessageKind, TaskRequest
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.eventstore.waiting import cancel, uninterrupted
from unspool.executor import masking
from unspool.executor.asyncapi.consumption import Consumption
from unspool.executor.asyncapi.document import AsyncApiDocument
from unspool.executor.asyncapi.filter import MessageFilter
from unspool.executor.asyncapi.messages import inbound
from unspool.executor.brokers.port import (
    BrokerError,
    CredentialsRefused,
    InboundMessage,
    MessageTooLarge,
    NotPossible,
    Subscription,
)
from unspool.executor.egress import AddressRefused
from unspool.executor.limits.limits import NotMade
from unspool.executor.task_context import TaskContext

MOST_MESSAGES: Final = 100
"""Messages that are sent together, and that may wait for `foreach`."""

_MOST_BYTES: Final = 256 * 1024
"""Of messages that are sent together, unless one alone is larger."""

_TOGETHER_SECONDS: Final = 0.005
_FOLLOW_SECONDS: Final = 10.0
"""After this time without an answer, messages are sent again; the execution ignores a repetition."""

_SETTLE_SECONDS: Final = 5.0
_END_SECONDS: Final = 30.0
"""For the broker to remove a subscription: what it does not remove stays there until it expires."""

_LASTING: Final = (AddressRefused, CredentialsRefused, MessageTooLarge, NotPossible)
"""Failures that another attempt does not repair."""

_WORKS_SECONDS: Final = 2.0
"""A connection that lasts so long, or brings a message, can be used."""

_MOST_FAILURES: Final = 5
_PAUSES: Final = (0.5, 10.0)

ConnectSubscription = Callable[[], AbstractAsyncContextManager[Subscription]]
"""Connects to the broker and subscribes. Raises `BrokerError`, `OSError` or `NotMade`."""


@dataclass(slots=True)
class _Batch:
    """Messages in the order of the broker; those that the filter takes have a value."""

    messages: list[tuple[InboundMessage, Json]] = field(default_factory=list)
    values: list[Json] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    size: int = 0

    def before(self, count: int) -> list[InboundMessage]:
        """The messages up to the last of the first `count` values, and those that were left out after it."""
        found: list[InboundMessage] = []
        for message, value in self.messages:
            if value is not None:
                if count == 0:
                    break
                count -= 1
            found.append(message)
        return found


class MessageConsumer:
    """Runs one subscription."""

    def __init__(
        self,
        context: TaskContext,
        request: TaskRequest,
        document: AsyncApiDocument,
        described: dict[str, Json],
        filter_: MessageFilter,
    ) -> None:
        self._context = context
        self._request = request
        self._document = document
        self._described = described
        self._filter = filter_
        self._limits = request.arguments["subscription"]
        key = ExecutionKey(context.tenant, request.execution)
        self._consumption = Consumption(context.store, key, request, self._limits)
        self._failures = 0
        self._works = False
        """Whether there was a connection that could be used."""

    async def run(self, connect: ConnectSubscription) -> None:
        """Consumes messages until the execution takes no more.

        Raises:
            BrokerError: the broker does not give messages, or does no longer.
            NotMade: another call has tried the broker, without an answer.
            OSError: there is no connection.
        """
        await retry_until_available(self._consumption.catch_up)
        clock = asyncio.get_running_loop().time
        while not self._consumption.ended:
            began = math.inf
            try:
                async with connect() as subscription:
                    began = clock()
                    await self._consume(subscription)
            except _LASTING:
                raise
            except (BrokerError, OSError, NotMade):
                self._works = self._works or clock() - began > _WORKS_SECONDS
                self._failures += 1
                if not self._works or self._failures > _MOST_FAILURES:
                    raise
                await self._pause()

    async def _pause(self) -> None:
        """Waits before the next attempt to connect; ends early if the execution takes no more messages."""
        shortest, longest = _PAUSES
        pause = min(longest, shortest * 2**self._failures) * JITTER.uniform(0.5, 1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                while not self._consumption.ended:
                    await self._follow(pause)

    async def _consume(self, subscription: Subscription) -> None:
        try:
            async with _reading(subscription) as reader:
                while not self._consumption.ended:
                    await self._consume_next(subscription, reader)
        finally:
            # Also if the task is cancelled, because the workflow ended it: before this, or meanwhile.
            await uninterrupted(self._settle(subscription))

    async def _settle(self, subscription: Subscription) -> None:
        """Ends the subscription if the execution takes no more messages."""
        with suppress(Exception):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._consumption.catch_up()
                while self._is_at_deadline() and not self._consumption.ended:
                    await self._consumption.wait(_SETTLE_SECONDS)
            if self._consumption.ended:
                async with asyncio.timeout(_END_SECONDS):
                    await subscription.end()

    def _is_at_deadline(self) -> bool:
        """Whether the timer of a timeout is about to end the task: the executor may be a little early."""
        deadline = self._context.deadline
        return deadline is not None and deadline - asyncio.get_running_loop().time() < _SETTLE_SECONDS / 2

    async def _consume_next(self, subscription: Subscription, reader: "_Reader") -> None:
        if self._room() <= 0:
            await self._follow(_FOLLOW_SECONDS)
        elif await reader.has_message(self):
            await self._deliver(subscription, await self._batch(reader, self._room()))

    def _room(self) -> int:
        """How many messages the execution takes now."""
        consumption = self._consumption
        waiting = consumption.received - consumption.processed if self._limits.get("foreach") else 0
        if self._limits.get("single"):
            return 1 - waiting
        most = MOST_MESSAGES - waiting
        amount = self._limits.get("amount")
        return most if amount is None else min(most, amount - consumption.received)

    async def _batch(self, reader: "_Reader", most: int) -> _Batch:
        """Takes messages that are there, up to `most` that the filter takes."""
        batch = _Batch()
        while True:
            message = reader.take()
            self._failures, self._works = 0, True
            known = self._consumption.has(message.id) or (message.id and message.id in batch.ids)
            value = None if known else await self._value(message)
            batch.messages.append((message, value))
            if value is not None:
                batch.values.append(value)
                batch.ids.append(message.id)
                batch.size += len(message.payload)
            full = len(batch.values) >= most or len(batch.messages) >= MOST_MESSAGES
            if full or batch.size > _MOST_BYTES or not await reader.has_more(_TOGETHER_SECONDS):
                return batch

    async def _value(self, message: InboundMessage) -> Json:
        """The message for the execution; None if the filter does not take it."""

        def evaluated() -> Json:
            value = inbound(self._document, self._described, message)
            return value if self._filter.takes(value) else None

        return await asyncio.to_thread(evaluated)

    async def _deliver(self, subscription: Subscription, batch: _Batch) -> None:
        """Sends messages, waits until the execution has them, and acknowledges those that it has taken."""
        before = self._consumption.accepted
        try:
            if batch.values:
                await self._send(batch)
        except BaseException:
            # What the execution has must not be delivered again. A failure must not hide a cancellation.
            with suppress(Exception):
                await self._acknowledge(subscription, batch, before)
            raise
        await self._acknowledge(subscription, batch, before)

    async def _acknowledge(self, subscription: Subscription, batch: _Batch, before: int) -> None:
        """Acknowledges what the execution has taken of a batch since it had accepted `before` messages."""
        if taken := batch.before(self._consumption.accepted - before):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await subscription.acknowledge(taken)

    async def _send(self, batch: _Batch) -> None:
        consumption = self._consumption
        place = consumption.received
        mask = masking.current.get()
        body: dict[str, Json] = {
            "run": self._request.run,
            "place": place,
            "sender": consumption.sender,
            "messages": batch.values if mask is None else mask.value(batch.values),
        }
        if any(batch.ids):
            body["ids"] = batch.ids
        message = Message(MessageKind.MESSAGES, self._request.execution, body)
        try:
            while consumption.received == place and not consumption.ended:
                await retry_until_available(lambda: self._context.store.send(self._context.tenant, message))
                deadline = asyncio.get_running_loop().time() + _FOLLOW_SECONDS
                while consumption.received == place and not consumption.ended:
                    left = deadline - asyncio.get_running_loop().time()
                    if left <= 0:
                        break
                    await self._follow(left)
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(_SETTLE_SECONDS):
                    await consumption.catch_up()
            raise

    async def _follow(self, seconds: float) -> None:
        await retry_until_available(lambda: self._consumption.wait(seconds))

    async def news(self) -> None:
        """Returns when something is new in the history."""
        await self._follow(_FOLLOW_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether the execution takes no more messages."""
        return self._consumption.ended


class _Reader:
    """Reads the next message while the history is followed."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._next: asyncio.Task[InboundMessage] | None = None

    async def has_message(self, consumer: MessageConsumer) -> bool:
        """Waits for a message. False if the history has something new before that."""
        news = asyncio.create_task(consumer.news())
        try:
            await asyncio.wait({self._reading(), news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel([news])
        if not news.cancelled():
            news.result()
        return self._reading().done() and not consumer.ended

    async def has_more(self, seconds: float) -> bool:
        """Whether another message is there, or comes within a short time."""
        await asyncio.wait({self._reading()}, timeout=seconds)
        return self._reading().done() and self._reading().exception() is None

    def take(self) -> InboundMessage:
        """The message that is there. Raises what reading it raised."""
        message = self._reading().result()
        self._next = None
        return message

    async def close(self) -> None:
        """Ends reading."""
        if self._next is not None:
            await cancel([self._next])

    def _reading(self) -> "asyncio.Task[InboundMessage]":
        if self._next is None:
            self._next = asyncio.create_task(self._subscription.next())
        return self._next


@asynccontextmanager
async def _reading(subscription: Subscription) -> AsyncIterator[_Reader]:
    reader = _Reader(subscription)
    try:
        yield reader
    finally:
        await reader.close()
