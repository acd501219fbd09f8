"""A store as views show it: values that a definition masks are replaced in all that is read of executions.

Everything that shows histories, states, diagrams, timelines, reasons or dead letters reads from here, so the
masks are applied in one place, before anything is made of the records. Services never use it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unspool.api.masked_lifecycle import execution_of_lifecycle, masked_lifecycle, workflow_of_lifecycle
from unspool.api.masked_records import has_error, masked_events, masked_letter
from unspool.definitions.document import load
from unspool.definitions.masking import Mask, mask_of
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter, Page
from unspool.eventstore.passed_calls import PassedCalls
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Loaded, WorkflowRef
from unspool.worker.definition_cache import DefinitionCache

_MOST: Final = 1_000
"""Masks in memory."""

NO_MASK: Final = Mask()


class MaskedStore(PassedCalls):
    """An `EventStore` whose records of executions are masked. It changes nothing that is written."""

    def __init__(self, inner: EventStore) -> None:
        """Takes the store with the real values."""
        super().__init__(inner)
        self._masks = DefinitionCache(inner, lambda text, _: mask_of_text(text), _MOST)
        self.missing_keys = inner.missing_keys
        self.heartbeat = inner.heartbeat
        self.put_text, self.text = inner.put_text, inner.text
        self._pass_writes(inner)
        self._pass_deliveries(inner)

    def _pass_writes(self, inner: EventStore) -> None:
        self.start = inner.start
        self.commit = inner.commit
        self.commit_all = inner.commit_all
        self.put_snapshot = inner.put_snapshot
        self.send = inner.send
        self.publish = inner.publish
        self.move_to_dead_letters = inner.move_to_dead_letters

    def _pass_deliveries(self, inner: EventStore) -> None:
        self.ended_before = inner.ended_before
        self.dead_letters_before = inner.dead_letters_before
        self.receive_messages = inner.receive_messages
        self.reclaim_messages = inner.reclaim_messages
        self.receive_tasks = inner.receive_tasks
        self.reclaim_tasks = inner.reclaim_tasks
        self.finish_task = inner.finish_task
        self.receive_events = inner.receive_events
        self.match = inner.match
        self.receive_for_sink = inner.receive_for_sink

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        record = await self._inner.execution(key)
        return None if record is None else await self.masked(record)

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`."""
        page = await self._inner.executions(tenant, criteria, limit=limit, cursor=cursor)
        return replace(page, items=tuple([await self.masked(record) for record in page.items]))

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """See `Histories`."""
        events, mask = await asyncio.gather(
            self._inner.history(key, after=after, limit=limit), self._mask_of(key)
        )
        return [] if mask is None else await self._masked_events(key, mask, events)

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """See `Histories`."""
        event, mask = await asyncio.gather(self._inner.last_event(key), self._mask_of(key))
        if event is None or mask is None:
            return None
        return next(iter(await self._masked_events(key, mask, [event])), None)

    async def load(self, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        """See `Histories`. A masked execution has no snapshot: its events are read from the first one."""
        found = await self._inner.load(keys, entries)
        return [None if loaded is None else await self._masked_load(loaded, entries) for loaded in found]

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """See `DeadLetters`."""
        page = await self._inner.dead_letters(tenant, execution=execution, limit=limit, cursor=cursor)
        return replace(page, items=tuple([await self._masked_letter(letter) for letter in page.items]))

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002 - the contract's name
        """See `DeadLetters`."""
        letter = await self._inner.dead_letter(tenant, id)
        return None if letter is None else await self._masked_letter(letter)

    async def published_events(
        self, tenant: str, *, after: str | None = None, limit: int = 100
    ) -> list[PublishedEvent]:
        """See `EventBus`. Lifecycle events have the mask of the execution that they tell of."""
        page = await self._inner.published_events(tenant, after=after, limit=limit)
        return [await self._masked_lifecycle(tenant, each) for each in page]

    async def published_event(self, tenant: str, position: str) -> PublishedEvent | None:
        """See `EventBus`."""
        found = await self._inner.published_event(tenant, position)
        return None if found is None else await self._masked_lifecycle(tenant, found)

    async def masks(self, record: ExecutionRecord) -> bool:
        """Whether any value of an execution may be masked."""
        return bool(await self._mask_for(record.key.tenant, record.workflow))

    async def masked(self, record: ExecutionRecord) -> ExecutionRecord:
        """The record of an execution, masked."""
        mask = await self._mask_for(record.key.tenant, record.workflow)
        if not mask or record.pending_input is None:
            return record
        return replace(record, pending_input=mask.applied({"input": record.pending_input})["input"])

    async def _masked_load(self, loaded: Loaded, entries: int) -> Loaded:
        record, snapshot, events = loaded
        mask = await self._mask_for(record.key.tenant, record.workflow)
        if not mask:
            return loaded
        if snapshot is not None:
            events = await self._inner.history(record.key, limit=entries)
        return Loaded(await self.masked(record), None, masked_events(mask, events))

    async def _masked_events(self, key: ExecutionKey, mask: Mask, events: list[Event]) -> list[Event]:
        """Masks a part of a history. The texts of errors may have values of the input."""
        if not mask:
            return events
        is_later = bool(events) and events[0].seq > 1 and any(map(has_error, events))
        first = await self._inner.history(key, limit=1) if is_later else []
        if is_later and not first:
            return []  # it was deleted meanwhile
        return masked_events(mask, [*first, *events])[len(first) :]

    async def _masked_letter(self, letter: DeadLetter) -> DeadLetter:
        mask = await self._mask_of(ExecutionKey(letter.tenant, letter.body.execution))
        return masked_letter(mask, letter) if mask else letter

    async def _masked_lifecycle(self, tenant: str, published: PublishedEvent) -> PublishedEvent:
        workflow = workflow_of_lifecycle(published.event)
        mask = NO_MASK if workflow is None else await self._mask_for(tenant, workflow)
        if not mask:
            return published
        id_ = execution_of_lifecycle(published.event)
        hidden = [] if id_ is None else await self._hidden_of(ExecutionKey(tenant, id_), mask)
        return published._replace(event=masked_lifecycle(mask, hidden, published.event))

    async def _hidden_of(self, key: ExecutionKey, mask: Mask) -> list[str] | None:
        """The values of the input that a mask hides; None if there is no such execution any more."""
        first = await self._inner.history(key, limit=1)
        return [text for event in first for text in mask.hidden(event.data)] if first else None

    async def _mask_of(self, key: ExecutionKey) -> Mask | None:
        """The mask of an execution; None if there is no such execution, or no longer."""
        if is_built_in(key.id):
            return NO_MASK
        record = await self._inner.execution(key)
        return None if record is None else await self._mask_for(key.tenant, record.workflow)

    async def _mask_for(self, tenant: str, workflow: WorkflowRef) -> Mask:
        try:
            return await self._masks.of(tenant, workflow)
        except NotFound:  # such as a built-in program
            return NO_MASK


def mask_of_text(text: str) -> Mask:
    """The mask of the text of a definition."""
    try:
        return mask_of(load(text).value)
    except DefinitionInvalid:  # of an older release
        return NO_MASK
