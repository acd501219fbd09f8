"""A store as views show it: values that a definition masks are replaced in all that is read of executions.

Everything that shows histories, states, diagrams, timelines, reasons or dead letters reads from here, so the
masks are applied in one place, before anything is made of the records. Services never use it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unspool.api.masked_lifecycle import masked_lifecycle, workflow_of_lifecycle
from unspool.definitions.document import load
from unspool.definitions.json_value import Json
from unspool.definitions.masking import MASKED, Mask, mask_of
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter, Page
from unspool.eventstore.passed_calls import PassedCalls
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Loaded, Message, WorkflowRef
from unspool.worker.definition_cache import DefinitionCache

_MOST: Final = 1_000
"""Masks in memory."""

_OWN_MEMBERS: Final = frozenset(
    {
        *("attempt", "branch", "bypassed", "by", "child", "deadline", "dueAt", "ended", "execution"),
        *("extension", "extensions", "filter", "foreach", "ids", "keep", "letter", "mediaType", "operation"),
        *("parent", "place", "purpose", "queue", "read", "reason", "resource", "run", "sender", "set"),
        *("sha256", "size", "stage", "timer", "workflow"),
    }
)
"""Members of events and messages that are ours, and not data of an execution. A state needs them."""

NO_MASK: Final = Mask()


class MaskedStore(PassedCalls):
    """An `EventStore` whose records of executions are masked. It changes nothing that is written."""

    def __init__(self, inner: EventStore) -> None:
        """Takes the store with the real values."""
        super().__init__(inner)
        self._masks = DefinitionCache(inner, lambda text, _: mask_of_text(text), _MOST)
        self.missing_keys = inner.missing_keys
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
        return [masked_event(mask, event) for event in events] if mask else events

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """See `Histories`."""
        event, mask = await asyncio.gather(self._inner.last_event(key), self._mask_of(key))
        return event and masked_event(mask, event)

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
        return Loaded(await self.masked(record), None, [masked_event(mask, each) for each in events])

    async def _masked_letter(self, letter: DeadLetter) -> DeadLetter:
        mask = await self._mask_of(ExecutionKey(letter.tenant, letter.body.execution))
        return masked_letter(mask, letter) if mask else letter

    async def _masked_lifecycle(self, tenant: str, published: PublishedEvent) -> PublishedEvent:
        workflow = workflow_of_lifecycle(published.event)
        mask = NO_MASK if workflow is None else await self._mask_for(tenant, workflow)
        return published._replace(event=masked_lifecycle(mask, published.event)) if mask else published

    async def _mask_of(self, key: ExecutionKey) -> Mask:
        """The mask of an execution. One that does not exist has none."""
        record = None if is_built_in(key.id) else await self._inner.execution(key)
        return NO_MASK if record is None else await self._mask_for(key.tenant, record.workflow)

    async def _mask_for(self, tenant: str, workflow: WorkflowRef) -> Mask:
        try:
            return await self._masks.of(tenant, workflow)
        except NotFound:  # such as a built-in program
            return NO_MASK


def masked_event(mask: Mask, event: Event) -> Event:
    """An event with its data masked."""
    return event._replace(data=_masked_members(mask, event.data))


def masked_letter(mask: Mask, letter: DeadLetter) -> DeadLetter:
    """A dead letter with its body masked, and the masked values replaced in its error and traceback."""
    body = letter.body
    if isinstance(body, Message):
        data = body.body
        body = body._replace(body=_masked_members(mask, data))
    else:
        data = body.arguments
        body = body._replace(arguments=mask.applied(data))
    error, traceback = letter.error, letter.traceback
    for text in mask.hidden(data):
        error, traceback = error.replace(text, MASKED), traceback.replace(text, MASKED)
    return replace(letter, body=body, error=error, traceback=traceback)


def _masked_members(mask: Mask, data: dict[str, Json]) -> dict[str, Json]:
    own = {name: value for name, value in data.items() if name in _OWN_MEMBERS}
    rest = {name: value for name, value in data.items() if name not in _OWN_MEMBERS}
    masked = mask.applied(rest)
    return data if masked is rest else own | masked


def mask_of_text(text: str) -> Mask:
    """The mask of the text of a definition."""
    try:
        return mask_of(load(text).value)
    except DefinitionInvalid:  # of an older release
        return NO_MASK
