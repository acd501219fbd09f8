"""One execution for one idempotency key: decides under which id a start takes place.

Everything that starts executions without an id of their own calls `IdempotencyKeys.resolve` first: the API,
the command line, `run: workflow`. Then it starts the execution that the result names, which does nothing if
that execution exists ([decision 8](docs/decisions/0008-idempotency-keys.md)).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from unspool.definitions.expressions import JqRunner
from unspool.definitions.idempotency import POINTER, KeyInvalid, KeyRule, Reuse, key_rule_of
from unspool.eventstore import idempotency_keys, port
from unspool.eventstore.idempotency_keys import EndedHolder, IdempotencyKey
from unspool.eventstore.records import (
    Delivery,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.worker.definition_cache import DefinitionCache
from unspool.worker.interpreter import State
from unspool.worker.tenant_threads import TenantThreads

_MOST: Final = 10_000
"""Rules in memory; most are None."""

_THREADS: Final = 4


class NoKey(Exception):
    """An execution cannot start, because its definition makes no valid key of its input."""

    pointer: Final = POINTER
    """The place in the definition."""

    def __init__(self, workflow: WorkflowRef, cause: KeyInvalid) -> None:
        super().__init__(f"the idempotency key of {workflow} cannot be made from this input: {cause}")


class _Store(port.Definitions, port.Histories, idempotency_keys.IdempotencyKeys, Protocol):
    """The parts of a store that are used here."""


class IdempotencyKeys:
    """Finds the execution that has the key of a start."""

    def __init__(self, store: _Store, jq: JqRunner) -> None:
        self._store = store
        self._rules: DefinitionCache[KeyRule | None] = DefinitionCache(
            store, lambda text, tenant: key_rule_of(text, jq.for_tenant(tenant)), _MOST
        )
        self._threads = TenantThreads(_THREADS)

    async def resolve(self, start: Start) -> Start:
        """Returns the start under the id of the execution that has its key, and with the key.

        It is the same start if its definition has no key, and a start with the same id if no other execution
        has the key. If the id is another one, the start joins that execution, which may have ended, or may
        not be started yet.

        Args:
            start: names a stored definition by its exact version, and a new id.

        Raises:
            NoKey: the definition makes no valid key of the input.
            NotFound: the definition is not stored.
        """
        return await self.claim(await self.with_key(start))

    async def with_key(self, start: Start) -> Start:
        """Returns the start with its key, if its definition has one. Raises as `resolve` does."""
        rule = await self._rules.of(start.key.tenant, start.workflow)
        if rule is None:
            return start
        try:
            # On a thread: the expression may be slow, and its author may be hostile.
            value = await self._threads.run(start.key, partial(rule.key_of, start.input))
        except KeyInvalid as cause:
            raise NoKey(start.workflow, cause) from cause
        return replace(start, idempotency_key=value)

    async def claim(self, start: Start) -> Start:
        """Returns a start with a key under the id of the execution that has it."""
        if start.idempotency_key is None:
            return start
        tenant = start.key.tenant
        rule = await self._rules.of(tenant, start.workflow)
        assert rule is not None  # it has made the key
        key = IdempotencyKey.of(tenant, start.workflow, start.idempotency_key)
        return replace(start, key=ExecutionKey(tenant, await self._holder(key, rule.reuse, start)))

    async def has_rule(self, tenant: str, workflow: WorkflowRef) -> bool:
        """Whether the executions of a definition have keys. Raises `NotFound`: it is not stored."""
        return await self._rules.of(tenant, workflow) is not None

    def resolves_at_once(self, tenant: str, workflow: WorkflowRef) -> bool:
        """Whether `resolve` neither reads the definition nor waits for a jq process."""
        if not self._rules.has(tenant, workflow):
            return False
        rule = self._rules.cached(tenant, workflow)
        return rule is None or not rule.guarded

    async def _holder(self, key: IdempotencyKey, reuse: Reuse, start: Start) -> str:
        """Returns the execution that has a key; this start gets the key if it is free."""
        proposed = start.key.id
        holder = await self._store.claim_key(key, proposed)
        while holder != proposed and reuse is Reuse.ENDED:
            record = await self._store.execution(ExecutionKey(key.tenant, holder))
            if record is None or not record.status.ended:
                break
            before = holder
            holder = await self._store.claim_key(key, proposed, EndedHolder(holder, record.version))
            if holder == before:  # it is being retried
                break
        return holder


def retries_with_key(state: State, deliveries: Sequence[Delivery[Message]]) -> list[Delivery[Message]]:
    """Returns the messages that retry an execution with an idempotency key; they need `keeps_its_key`."""
    if state.idempotency_key is None or state.status is not Status.FAULTED:
        return []
    return [delivery for delivery in deliveries if delivery.body.kind is MessageKind.RETRY]


async def keeps_its_key(
    store: idempotency_keys.IdempotencyKeys, execution: ExecutionKey, workflow: WorkflowRef, state: State
) -> bool:
    """Keeps the key of an execution that is about to be retried.

    Returns False if another execution has the key by now: that one may be under way.
    """
    key = IdempotencyKey.of(execution.tenant, workflow, str(state.idempotency_key))
    return await store.keep_key(key, execution.id, state.version)
