"""Deletes executions some time after their end, in pieces, beside the timers.

Every timer service does it; the store lets one of them begin at a time. If two work at once, for example
after a pause, nothing goes wrong: each piece is deleted by one of them.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from unspool.eventstore import port
from unspool.eventstore.encryption.payloads import PLAIN_PAYLOADS, Payloads
from unspool.eventstore.idempotency_keys import IdempotencyKey, IdempotencyKeys
from unspool.eventstore.monitoring.health import ServiceHealth
from unspool.eventstore.rate_limits import Rate, RateLimits
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.eventstore.retention import Retention
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.eventstore.settings import BadSetting, setting
from unspool.eventstore.texts import Texts
from unspool.eventstore.waiting import done_before
from unspool.timer_service.archiving import Archive, ArchiveUnavailable, NotArchived
from unspool.timer_service.event_archiving import EventArchive, EventReader
from unspool.timer_service.metrics import RetentionMetrics
from unspool.timer_service.pacing import LONGEST_PAUSE, rest_after
from unspool.timer_service.retention_rules import (
    DEFAULT_RETENTION,
    expires_at,
    overdue_by,
    retention_rules,
    time_of,
)
from unspool.timer_service.text_retention import delete_unused_texts

log = logging.getLogger(__name__)

PIECE: Final = 200
"""Executions that one step looks at, at most."""

NEEDED_MILLISECONDS: Final = 60_000
"""After this time it looks again at an execution that was needed."""

_LONGEST_TURN: Final = 60.0
"""Seconds after which a service lets another one begin, though there is more to delete."""

_LIMIT: Final = "$retention"


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long what has ended is kept."""

    rules: str = setting(
        "UNSPOOL_RETENTION",
        DEFAULT_RETENTION,
        "How long ended executions are kept, also by status and workflow, such as"
        " '30d; faulted=90d; orders/*=7d; orders/pay:faulted=forever'",
    )
    dead_letters: str = setting(
        "UNSPOOL_DEAD_LETTER_RETENTION",
        "90d",
        "How long dead letters are kept, such as 90d or forever; then they are discarded",
    )
    archive: str = setting(
        "UNSPOOL_ARCHIVE",
        "",
        "Directory to which histories of executions, dead letters and published events are written before"
        " they are deleted; empty: none",
    )
    interval_seconds: float = setting(
        "UNSPOOL_RETENTION_INTERVAL", 60.0, "Seconds between two searches for what can be deleted", least=0.1
    )

    def __post_init__(self) -> None:
        """Refuses rules and times that are not valid (`BadSetting`)."""
        retention_rules(self.rules)
        try:
            time_of(self.dead_letters)
        except ValueError as error:
            raise BadSetting(f"UNSPOOL_DEAD_LETTER_RETENTION: {error}") from None


class _Store(
    Retention,
    IdempotencyKeys,
    RateLimits,
    Texts,
    EventReader,
    port.DeadLetters,
    port.Definitions,
    port.Histories,
    port.Timers,
    Protocol,
):
    """The parts of a store that are used here."""


class RetentionService:
    """Deletes ended executions until it is stopped."""

    def __init__(
        self,
        store: _Store,
        settings: RetentionSettings,
        metrics: RetentionMetrics | None = None,
        health: ServiceHealth | None = None,
        payloads: Payloads = PLAIN_PAYLOADS,
    ) -> None:
        """Takes the store, the settings, and what encrypts the payloads in archives."""
        self._store = store
        self._metrics = metrics or RetentionMetrics()
        self._health = health or ServiceHealth("retention", joins=False)
        self._rules = retention_rules(settings.rules)
        self._dead_letters = time_of(settings.dead_letters)
        self._archive = Archive(store, Path(settings.archive), payloads) if settings.archive else None
        self._events = None if self._archive is None else EventArchive(store, self._archive)
        self._seconds = settings.interval_seconds
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Deletes what is due until `stop` is called. It retries while the store is unavailable."""
        deleting = self._health.watch("delete", self._delete_forever)
        await done_before(deleting, self._stopping.wait())

    def stop(self) -> None:
        """Ends `run`. It is safe at any time: an execution is deleted completely or not at all."""
        self._stopping.set()

    async def _delete_forever(self) -> None:
        while True:
            await self._turn()
            await asyncio.sleep(self._seconds * JITTER.uniform(0.8, 1.2))

    async def _turn(self) -> None:
        """Deletes what is due, and tells how far it is behind."""
        try:
            if not await retry_until_available(self._delete_due):
                return
            self._health.hindrance = None
        except ArchiveUnavailable as error:
            self._health.hindrance = f"executions are not deleted, because they cannot be archived: {error}"
            log.error(  # noqa: TRY400 - the cause is outside
                "ended executions are not deleted, because they cannot be archived: %s",
                error,
                extra={"action": "archive_unavailable"},
            )
        except Exception as error:
            self._health.hindrance = f"executions are not deleted: {type(error).__name__}"
            log.exception("retention failed", extra={"action": "retention_failed"})
        behind = await retry_until_available(lambda: overdue_by(self._store, self._rules))
        self._metrics.turned(fails=self._health.hindrance is not None, behind=behind)

    async def _delete_due(self) -> bool:
        """Deletes all that is due; returns False if another service has begun to within the interval."""
        rate = Rate(interval=int(self._seconds * 1_000_000))
        if await self._store.reserve_start(_LIMIT, rate, most=0) is None:
            return False
        if self._events is not None:
            await self._events.keep()
        if self._dead_letters is not None:
            await self._discard_dead_letters(self._dead_letters)
        if self._rules.shortest is not None:
            await self._delete_executions(self._rules.shortest)
        await self._delete_texts()
        if self._events is not None:
            self._metrics.events_archived(await self._events.write_all())
        await self._index_existing()
        return True

    async def _delete_texts(self) -> None:
        deleted = await delete_unused_texts(self._store, int(self._seconds * 1000), _LONGEST_TURN)
        self._metrics.texts_deleted(deleted)
        if deleted:
            log.info("deleted %d unused texts", deleted, extra={"action": "texts_deleted"})

    async def _index_existing(self) -> None:
        """Makes executions of an earlier release searchable, in pieces."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _LONGEST_TURN
        looked_at = 1
        while looked_at and loop.time() < end:
            looked_at = await self._store.index_existing(PIECE)
            await asyncio.sleep(LONGEST_PAUSE)

    async def _discard_dead_letters(self, kept: int) -> None:
        """Discards dead letters that are older than a time in milliseconds."""
        before = await self._store.now() - kept
        while letters := await self._store.dead_letters_before(before, PIECE):
            for letter in letters:
                if self._archive is not None:
                    await self._archive.write_dead_letter(letter)
                if await self._store.discard(letter.tenant, letter.id):
                    self._metrics.discarded(1)
                    log.warning(
                        "discarded the dead letter %s of execution %s",  # its error may quote data
                        letter.id,
                        letter.body.execution,
                        extra={"action": "dead_letter_expired", "execution": letter.body.execution},
                    )

    async def _delete_executions(self, shortest: int) -> None:
        if self._archive is not None:
            await self._archive.check()
        loop = asyncio.get_running_loop()
        dropped, found = 0, 1
        end = loop.time() + _LONGEST_TURN
        while found and loop.time() < end:
            began = loop.time()
            found, deleted = await self._step(shortest)
            dropped += deleted
            self._metrics.deleted(deleted)
            await rest_after(loop.time() - began)
        if dropped:
            log.info("deleted %d ended executions", dropped, extra={"action": "executions_deleted"})

    async def _step(self, shortest: int) -> tuple[int, int]:
        """Looks at some executions; returns how many it found and how many it deleted."""
        now = await self._store.now()
        found = await self._store.ended_before(now - shortest, PIECE)
        indexed = 0 if found else await self._store.index_ended(PIECE)
        times = {record.key: expires_at(self._rules, record, now) for record in found}
        expired = [record for record in found if times[record.key] <= now]
        dropped = await self._drop(expired)
        again = {
            key: (now + NEEDED_MILLISECONDS if time <= now else time) - shortest
            for key, time in times.items()
            if key not in dropped
        }
        await self._store.look_again_at(again)
        return indexed + len(found), len(dropped)

    async def _drop(self, records: Sequence[ExecutionRecord]) -> set[ExecutionKey]:
        """Deletes executions; returns those that are deleted.

        One that has an idempotency key only loses the key at first. A process that has found it by the key
        may be about to join it, and finds it until the next time.
        """
        ready = [record for record in records if not await self._released(record)]
        if self._archive is not None:
            ready = await self._archived(self._archive, ready)
        dropped = await self._store.drop(ready)
        return {record.key for record, done in zip(ready, dropped, strict=True) if done}

    async def _archived(self, archive: Archive, records: Sequence[ExecutionRecord]) -> list[ExecutionRecord]:
        """Archives executions; returns those that are archived."""
        written = await asyncio.gather(*(self._is_written(archive, record) for record in records))
        self._metrics.archived(sum(written))
        return [record for record, done in zip(records, written, strict=True) if done]

    async def _released(self, record: ExecutionRecord) -> bool:
        """Takes the idempotency key from an execution; returns whether it had one."""
        if record.idempotency_key is None:
            return False
        key = IdempotencyKey.of(record.key.tenant, record.workflow, record.idempotency_key)
        return await self._store.release_key(key, record.key.id)

    async def _is_written(self, archive: Archive, record: ExecutionRecord) -> bool:
        try:
            await archive.write(record)
        except NotArchived as error:
            self._metrics.not_archived()
            log.error(  # noqa: TRY400 - the cause is in the store
                "execution %s is kept, because its history cannot be archived: %s",
                record.key.id,
                error,
                extra={"action": "not_archived", "execution": record.key.id},
            )
            return False
        return True
