"""The adapter for a store: reads and writes it as the API does."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from unspool.api.masked_store import MaskedStore
from unspool.api.operations import NotAllowed, check_allowed_now, wait_for_effect
from unspool.api.representations import describe, function_json, listed, start_conflict
from unspool.cli.deployed import Named, deployed
from unspool.cli.deployment import deploy_document, identity, listening
from unspool.cli.exits import CommandError
from unspool.cli.following import dead_letter_of, record_of
from unspool.cli.options import Place
from unspool.cli.stores import each_store, opened, store_url, url_of_execution
from unspool.cli.targets.port import Deployed, JsonObject, NewExecution, Operated, Started
from unspool.cli.targets.store_operation import StoreOperation
from unspool.definitions.document import Document
from unspool.eventstore import execution_search, ids
from unspool.eventstore.actors import Actor
from unspool.eventstore.clock import SystemClock, rfc3339
from unspool.eventstore.errors import KeyMissing
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.operations import known_level
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Message, MessageKind, Start, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.eventstore.semver import order
from unspool.eventstore.waiting import done_before

_PAGE: Final = 200

Explain = Callable[[EventStore, ExecutionKey], Awaitable[JsonObject]]


@dataclass(slots=True)
class _Opened:
    """What is open: stores by URL, and what evaluates expressions."""

    stores: dict[str, MaskedStore] = field(default_factory=dict)
    real: dict[str, EventStore] = field(default_factory=dict)
    """The stores with the real values, to compare them."""
    explain: Explain | None = None
    """Says why an execution waits. Made when it is needed, because it evaluates expressions."""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)


class StoreTarget(StoreOperation):
    """The store of a command. An execution of `unspool run` is found in the file of its run.

    Args:
        place: the store and the tenant.
        by: who works on it, for histories.
    """

    def __init__(self, place: Place, by: str, shared: "_Opened | None" = None) -> None:
        self._place, self._by, self._tenant = place, by, place.tenant
        self._opened = shared or _Opened()

    def on_behalf_of(self, by: str) -> "StoreTarget":
        """Returns a target with the same open stores, in the name of a caller. It needs no close."""
        return StoreTarget(self._place, by, self._opened)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.stack.aclose()

    async def _store(self, execution: str | None = None) -> MaskedStore:
        """The store as views show it: values that definitions mask are masked."""
        url = store_url(self._place) if execution is None else url_of_execution(self._place, execution)
        if url not in self._opened.stores:
            self._opened.stores[url] = MaskedStore(await self._unmasked(url))
        return self._opened.stores[url]

    async def _unmasked(self, url: str) -> EventStore:
        if url not in self._opened.real:
            self._opened.real[url] = await self._opened.stack.enter_async_context(opened(url))
        return self._opened.real[url]

    async def _record(self, id_: str) -> tuple[MaskedStore, ExecutionRecord]:
        store = await self._store(id_)
        return store, await record_of(store, ExecutionKey(self._tenant, id_))

    def _actor(self, reason: str | None) -> Actor:
        return Actor(self._by, reason)

    # -- workflows

    async def deploy(self, document: Document) -> Deployed:
        """As the port says."""
        store = await self._store()
        stored = await deploy_document(store, self._tenant, document)
        from unspool.definitions.feature_levels import unknown_features  # noqa: PLC0415 - slow to import

        unknown = unknown_features(document, known_level(await store.live_consumers()))
        return Deployed(identity(document), stored is Stored.CREATED, [str(each) for each in unknown])

    async def listening(self, documents: Sequence[Document]) -> None:
        """As the port says."""
        await listening(await self._store(), self._tenant, documents)

    async def workflows(self) -> list[JsonObject]:
        """As the port says."""
        found = await (await self._store()).definitions(self._tenant)
        return [{**each.ref._asdict(), "createdAt": rfc3339(each.created_at)} for each in found]

    async def resolve(self, workflow: Named) -> WorkflowRef:
        """As the port says."""
        return await deployed(await self._store(), self._tenant, workflow)

    async def definition(self, ref: WorkflowRef) -> str:
        """As the port says."""
        for store in {await self._store(): None, **dict.fromkeys(self._opened.stores.values())}:
            definition = await store.definition(self._tenant, *ref)
            if definition is not None:
                return definition.text
        raise CommandError(f"the definition {ref} is not deployed")

    async def functions(self) -> list[JsonObject]:
        """As the port says."""
        store = await self._store()
        found, queues, now = await asyncio.gather(store.functions(), store.queues_served(), store.now())
        found.sort(key=lambda each: (each.name, order(each.version), each.queue))
        return [function_json(each, queues[each.queue], now) for each in found]

    # -- executions

    async def start(self, new: NewExecution) -> Started:
        """As the port says."""
        from unspool.cli.starting import with_idempotency_key  # noqa: PLC0415 - slow to import

        store, now = await self._store(), SystemClock().now()
        ref = await deployed(store, self._tenant, new.workflow)
        key = ExecutionKey(self._tenant, new.id or ids.new_id(now))
        start = Start(key, ref, new.input, now, tags=new.tags, by=self._by)
        if new.id is None:
            start = await with_idempotency_key(store, start)
        created = await store.start(start)
        record = await record_of(store, start.key)
        if new.id is not None and not created:
            real = await self._unmasked(store_url(self._place))
            same = await record_of(real, start.key)
            conflict = await start_conflict(real, same, ref, new.workflow.version, new.input)
            if conflict is not None:
                raise CommandError(f"that id belongs to {conflict}; choose another id")
        return Started(await describe(store, record), created)

    async def executions(
        self, criteria: ExecutionFilter, limit: int, *, summary: bool = False
    ) -> list[JsonObject]:
        """As the port says. Without a named store also those in the files of runs."""
        found: list[tuple[ExecutionRecord, JsonObject]] = []
        async with aclosing(each_store(self._place)) as stores:
            async for store in stores:
                views = MaskedStore(store)
                records = await list_all(views, self._tenant, criteria, limit)
                shown = await asyncio.gather(*(listed(views, record, summary=summary) for record in records))
                pairs = zip(records, shown, strict=True)
                found += [(record, item) for record, item in pairs if item is not None]
        found.sort(key=lambda pair: execution_search.Place.of(pair[0], criteria), reverse=True)
        return [execution for _, execution in found[:limit]]

    async def execution(self, id_: str, *, wait: float = 0.0) -> JsonObject:
        """As the port says."""
        store, record = await self._record(id_)
        deadline = asyncio.get_running_loop().time() + wait
        while not record.status.ended and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await store.wait_for_version(record.key, record.version, left)
            record = await record_of(store, record.key)
        return await describe(store, record)

    async def history(self, id_: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """As the port says."""
        store, record = await self._record(id_)
        return await store.history(record.key, after=after, limit=limit)

    async def why(self, id_: str) -> JsonObject:
        """As the port says."""
        store, record = await self._record(id_)
        if self._opened.explain is None:
            from unspool.cli.targets.explaining import explaining  # noqa: PLC0415 - slow to import

            self._opened.explain = self._opened.stack.enter_context(explaining(os.environ))
        return await self._opened.explain(store, record.key)

    async def operate(self, kind: MessageKind, id_: str, reason: str | None, wait: float) -> Operated:
        """As the port says."""
        store, record = await self._record(id_)
        try:
            await check_allowed_now(store, kind, record)
            before = await describe(store, record)  # an execution that cannot be read is not operated
            await store.send(self._tenant, Message(kind, id_, self._actor(reason).data()))
            effect = wait_for_effect(store, kind, record)
            applied = await done_before(effect, asyncio.sleep(wait))
            after = await describe(store, await record_of(store, record.key))
        except NotAllowed as cause:
            raise CommandError(f"execution {id_} {cause}") from None
        except KeyMissing:
            return Operated(before, applied=False)
        return Operated(after, applied)

    async def no_worker(self, id_: str) -> str:
        """As the port says."""
        letter = await dead_letter_of(await self._store(id_), ExecutionKey(self._tenant, id_))
        if letter is not None:
            return f"it is stuck: {letter.error} (dead letter {letter.id})"
        url = url_of_execution(self._place, id_)
        if url != store_url(self._place):
            return f"`unspool dev --store {url}` runs a worker on the file of this run"
        return "is a worker running?"

    async def counts(self) -> JsonObject:
        """As the port says."""
        found = await (await self._store()).count_executions(self._tenant)
        at_least = [status.value for status, count in found.items() if not count.exact]
        return {
            "executions": {status.value: count.number for status, count in found.items()},
            "atLeast": at_least,
        }


async def list_all(
    store: EventStore, tenant: str, filter_: ExecutionFilter, limit: int | None = None
) -> list[ExecutionRecord]:
    """Returns executions, newest first; all of them if `limit` is None."""
    found: list[ExecutionRecord] = []
    cursor = None
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        page = await store.executions(tenant, filter_, limit=size, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    return found
