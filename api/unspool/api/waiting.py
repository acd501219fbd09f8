"""Why an execution waits: reads the facts, for API and CLI."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Final, NamedTuple

from unspool.api.bounded_work import EXPLANATIONS
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.worker.interpreter import State, fold
from unspool.worker.interpreter.run import Phase
from unspool.worker.state_cache import cached_state_of
from unspool.worker.why.facts import Facts
from unspool.worker.why.reasons import reasons, waiting_runs
from unspool.worker.why.sentence import why_json

_NEWEST_EVENTS: Final = 300
"""Events of the history that are searched for requests and errors."""

_PUBLISHED: Final = 200
"""Newest events of the bus that are compared."""

_COMPARE_SECONDS: Final = 2.0
"""How long events are compared with what tasks listen for. A condition of an author may take long."""

_LETTERS: Final = 5
_ENTRIES: Final = 1_000


async def why(store: EventStore, jq: JqRunner, key: ExecutionKey) -> dict[str, Json]:
    """Returns why an execution waits: `sentence` and `waitsFor`.

    The work does not grow with its history: it begins at the snapshot.

    Raises:
        NotFound: there is no such execution.
        CorruptHistory: the history cannot be read.
        TooMuchWork: too many explanations are asked for at once.
    """
    with EXPLANATIONS.place(key.tenant):
        return await _explain(store, jq, key)


async def _explain(store: EventStore, jq: JqRunner, key: ExecutionKey) -> dict[str, Json]:
    read = await _read(store, key)
    if read is None:
        raise NotFound(f"there is no execution {key.id}")
    facts = await _facts(store, read)
    if facts.record.status.ended and not facts.letters:
        return why_json(facts.record, (), read.state.error)
    definition = await store.definition(key.tenant, *facts.record.workflow)
    text = "" if definition is None else definition.text
    return await EXPLANATIONS.run(_explained, text, jq.for_tenant(key.tenant), read.state, facts)


class _Read(NamedTuple):
    record: ExecutionRecord
    state: State


def _explained(text: str, jq: JqRunner, state: State, facts: Facts) -> dict[str, Json]:
    facts = replace(facts, deadline=monotonic() + _COMPARE_SECONDS)
    found = reasons(plan_of(text, jq), state, facts)
    return why_json(facts.record, found, state.error)


async def _read(store: EventStore, key: ExecutionKey) -> _Read | None:
    """The execution with its state after the newest event."""
    [loaded] = await store.load([key], _ENTRIES)
    if loaded is None:
        return None
    state = cached_state_of(loaded).state
    while rest := await store.history(key, after=state.version, limit=_ENTRIES):
        state = fold(state, rest)
    return _Read(loaded.record, state)


async def _facts(store: EventStore, read: _Read) -> Facts:
    key, state = read.record.key, read.state
    phases = {run.phase for run in waiting_runs(state)}
    history, letters, now, queues, functions = await asyncio.gather(
        store.history(key, after=max(0, state.version - _NEWEST_EVENTS)),
        store.dead_letters(key.tenant, execution=key.id, limit=_LETTERS),
        store.now(),
        store.queues_served(),
        store.functions(),
    )
    children, parent, events = await asyncio.gather(
        _children(store, read),
        _parent(store, read.record),
        _events(store, key.tenant, listens=Phase.LISTENING in phases),
    )
    return Facts(
        now=now,
        record=read.record,
        history=history,
        queues=queues,
        functions=functions,
        children={child.key.id: child for child in children},
        parent=parent,
        letters=letters.items,
        events=events,
    )


async def _children(store: EventStore, read: _Read) -> Sequence[ExecutionRecord]:
    tenant = read.record.key.tenant
    ids = [run.joined or run.child for run in waiting_runs(read.state) if run.phase is Phase.AWAITING]
    found = await asyncio.gather(*(store.execution(ExecutionKey(tenant, str(id_))) for id_ in ids))
    return [record for record in found if record is not None]


async def _parent(store: EventStore, record: ExecutionRecord) -> ExecutionRecord | None:
    parent = record.parent
    if parent is None or is_built_in(parent.execution):
        return None
    return await store.execution(ExecutionKey(record.key.tenant, parent.execution))


async def _events(store: EventStore, tenant: str, *, listens: bool) -> list[dict[str, Json]]:
    if not listens:
        return []
    return [each.event for each in await store.published_events(tenant, limit=_PUBLISHED)]
