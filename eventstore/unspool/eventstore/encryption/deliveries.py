"""Messages, tasks and dead letters, with encrypted payloads.

A delivery whose key is missing goes back to its queue, where another process may have the key. One that was
damaged goes to the dead letter queue.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar, cast

from unspool.eventstore.consumers import NO_CAPACITY, NO_PAYLOAD_KEYS, Capacity, Consumer, Load, PayloadKeys
from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.encryption.missing_keys import MissingKeys
from unspool.eventstore.encryption.payloads import Payloads, any_message_sealed, any_task_sealed
from unspool.eventstore.errors import DamagedPayload, KeyMissing, NotFound
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, Message, TaskRequest

log = logging.getLogger(__name__)

Body = TypeVar("Body", Message, TaskRequest)


class EncryptedDeliveries:
    """The port's `Inbox`, `Tasks` and `DeadLetters`."""

    _inner: EventStore
    _payloads: Payloads
    _missing: MissingKeys

    async def heartbeat(
        self,
        consumer: Consumer,
        load: Load = Load.FREE,
        capacity: Capacity = NO_CAPACITY,
        keys: PayloadKeys = NO_PAYLOAD_KEYS,
    ) -> None:
        """See `EventStore`. Tells the keys of this process."""
        own = self._payloads.keys._replace(missing=tuple(self._missing.ids()))
        await self._inner.heartbeat(consumer, load, capacity, keys if own == NO_PAYLOAD_KEYS else own)

    async def send(self, tenant: str, message: Message) -> None:
        """See `Inbox`."""
        if self._payloads.encrypts:
            message = self._payloads.seal_message(tenant, message)
        await self._inner.send(tenant, message)

    async def receive_messages(
        self, consumer: Consumer, limit: int, seconds: float, skip: frozenset[str] = frozenset()
    ) -> list[Delivery[Message]]:
        """See `Inbox`. Raises `KeyMissing` if no message can be decrypted for lack of a key."""
        return await self._opened_messages(await self._inner.receive_messages(consumer, limit, seconds, skip))

    async def reclaim_messages(self, consumer: Consumer, limit: int, lease: float) -> list[Delivery[Message]]:
        """See `Inbox`. Raises `KeyMissing` if no message can be decrypted for lack of a key."""
        return await self._opened_messages(await self._inner.reclaim_messages(consumer, limit, lease))

    async def receive_tasks(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`. Raises `KeyMissing` if no task can be decrypted for lack of a key."""
        return await self._opened_tasks(await self._inner.receive_tasks(consumer, limit, seconds))

    async def reclaim_tasks(
        self, consumer: Consumer, limit: int, lease: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`. Raises `KeyMissing` if no task can be decrypted for lack of a key."""
        return await self._opened_tasks(await self._inner.reclaim_tasks(consumer, limit, lease))

    def finish_task(self, delivery: Delivery[TaskRequest], result: Message | None) -> Awaitable[None]:
        """See `Tasks`."""
        if result is not None and self._payloads.encrypts:
            result = self._payloads.seal_message(delivery.tenant, result)
        return self._inner.finish_task(delivery, result)

    async def move_to_dead_letters(
        self, delivery: Delivery[Message] | Delivery[TaskRequest], error: str, traceback: str
    ) -> str:
        """See `DeadLetters`."""
        body = self._payloads.sealed_body(delivery.tenant, delivery.body)
        sealed = self._payloads.sealed_failure
        return await self._inner.move_to_dead_letters(
            cast("Delivery[Message]", delivery._replace(body=cast("Any", body))),
            sealed(delivery.key, error),
            sealed(delivery.key, traceback),
        )

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """See `DeadLetters`. One that cannot be decrypted is in the list, and says why."""
        page = await self._inner.dead_letters(tenant, execution=execution, limit=limit, cursor=cursor)
        return DeadLetterPage(tuple(map(self._opened_letter, page.items)), page.cursor)

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002 - the contract's name
        """See `DeadLetters`."""
        letter = await self._inner.dead_letter(tenant, id)
        return None if letter is None else self._opened_letter(letter)

    async def dead_letters_before(self, time: int, limit: int) -> list[DeadLetter]:
        """See `DeadLetters`. One that cannot be decrypted is in the list, and says why."""
        return [*map(self._opened_letter, await self._inner.dead_letters_before(time, limit))]

    def _opened_letter(self, letter: DeadLetter) -> DeadLetter:
        try:
            return self._payloads.opened_letter(letter)
        except (KeyMissing, DamagedPayload) as error:
            return replace(letter, error=str(error), traceback="")

    async def _opened_messages(self, deliveries: list[Delivery[Message]]) -> list[Delivery[Message]]:
        if not any_message_sealed(deliveries):
            return deliveries
        return await self._opened(deliveries, self._payloads.opened_message)

    async def _opened_tasks(self, deliveries: list[Delivery[TaskRequest]]) -> list[Delivery[TaskRequest]]:
        if not any_task_sealed(deliveries):
            return deliveries
        return await self._opened(deliveries, self._payloads.opened_task)

    async def _opened(
        self, deliveries: list[Delivery[Body]], opened_body: Callable[[str, Body], Body]
    ) -> list[Delivery[Body]]:
        """The deliveries that can be decrypted. Raises `KeyMissing` if it is only keys that are missing."""
        opened: list[Delivery[Body]] = []
        locked: list[tuple[Delivery[Body], KeyMissing]] = []
        damaged: list[tuple[Delivery[Body], DamagedPayload]] = []
        for delivery in deliveries:
            try:
                body = opened_body(delivery.tenant, delivery.body)
            except KeyMissing as error:
                locked.append((delivery, error))
            except DamagedPayload as error:
                damaged.append((delivery, error))
            else:
                opened.append(delivery if body is delivery.body else delivery._replace(body=body))
        if damaged:
            await self._bury(damaged)
        if locked:
            await self._give_up(locked, only=not opened)
        return opened

    async def _bury(self, damaged: Sequence[tuple[Delivery[Body], DamagedPayload]]) -> None:
        for delivery, error in damaged:
            log.error(
                "a delivery is damaged and goes to the dead letters: %s", error,
                extra={"action": "payload_damaged", "execution": delivery.body.execution},
            )  # fmt: skip
            with suppress(NotFound):
                await self._inner.move_to_dead_letters(cast("Any", delivery), str(error), "")

    async def _give_up(self, locked: Sequence[tuple[Delivery[Body], KeyMissing]], *, only: bool) -> None:
        """Returns deliveries to their queue, for a process that has their key."""
        await self._inner.release(cast("Any", [delivery for delivery, _ in locked]))
        for _, error in locked:
            self._missing.note(error)
        if only:
            raise locked[0][1]
