"""Which keys the payloads in a store are encrypted with. It reads what it counts; no payload is decrypted."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.eventstore.encryption.payloads import SEALED, key_of_text
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionRecord, Message

PLAIN: Final = ""
"""Stands for payloads that are not encrypted."""

_PAGE: Final = 100
_EVENTS: Final = 500


class KeyUse(NamedTuple):
    """How many records of a tenant need each key, by its id; a record may need several."""

    executions: Counter[str]
    dead_letters: Counter[str]
    events: Counter[str]
    """Published events that are on the bus."""

    def ids(self) -> set[str]:
        """The keys that are in use."""
        return {*self.executions, *self.dead_letters, *self.events}


async def key_use(store: EventStore, tenant: str) -> KeyUse:
    """Counts the records of a tenant by key. It reads all histories.

    Args:
        store: opened with `sealed`, so that payloads are not decrypted.
        tenant: whose records are counted.
    """
    return KeyUse(
        await _of_executions(store, tenant),
        await _of_dead_letters(store, tenant),
        await _of_published_events(store, tenant),
    )


async def _of_executions(store: EventStore, tenant: str) -> Counter[str]:
    found: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        page = await store.executions(tenant, ExecutionFilter(), limit=_PAGE, cursor=cursor)
        for record in page.items:
            found.update(await _of_execution(store, record))
        cursor = page.cursor
        if cursor is None:
            return found


async def _of_execution(store: EventStore, record: ExecutionRecord) -> set[str]:
    if record.version == 0:
        return {_key_of(record.pending_input)}
    name = record.idempotency_key
    keys = {key_of_text(name)} if name else set()
    after = 0
    while events := await store.history(record.key, after=after, limit=_EVENTS):
        keys.update(_keys_of(events))
        after = events[-1].seq
    return keys


def _keys_of(events: list[Event]) -> Iterator[str]:
    """The keys of events that have payloads."""
    for event in events:
        if "input" in event.data or "output" in event.data or SEALED in event.data:
            yield _key_of(event.data)


async def _of_dead_letters(store: EventStore, tenant: str) -> Counter[str]:
    found: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        page = await store.dead_letters(tenant, limit=_PAGE, cursor=cursor)
        for letter in page.items:
            body = letter.body.body if isinstance(letter.body, Message) else letter.body.arguments
            found.update({key_of_text(letter.error), _key_of(body)} - {PLAIN} or {PLAIN})
        cursor = page.cursor
        if cursor is None:
            return found


async def _of_published_events(store: EventStore, tenant: str) -> Counter[str]:
    found: Counter[str] = Counter()
    after = "0-0"
    newest = await store.published_events(tenant, limit=1)
    if newest and newest[0].position.isdecimal():  # SQLite numbers them
        after = "0"
    while newest and (events := await store.published_events(tenant, after=after, limit=_PAGE)):
        found.update(_key_of(each.event) for each in events)
        after = events[-1].position
    return found


def _key_of(value: Json) -> str:
    """The key of a value with an encrypted part."""
    text = value.get(SEALED) if isinstance(value, dict) else None
    return text.partition(":")[0] if isinstance(text, str) else PLAIN
