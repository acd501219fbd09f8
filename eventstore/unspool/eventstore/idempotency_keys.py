"""Idempotency keys: which execution has the key that a definition makes of an input. A part of the port."""

import hashlib
from typing import NamedTuple, Protocol

from unspool.eventstore.records import ExecutionRecord, WorkflowRef


class IdempotencyKey(NamedTuple):
    """The key of executions of one workflow, all versions: at most one of them has it."""

    tenant: str
    namespace: str
    name: str
    value: str
    """What the definition makes of the input."""

    @classmethod
    def of(cls, tenant: str, workflow: WorkflowRef, value: str) -> "IdempotencyKey":
        """A key of a workflow."""
        return cls(tenant, workflow.namespace, workflow.name, value)

    @property
    def digest(self) -> str:
        """A hash of workflow and value, under which a store keeps the key of the tenant."""
        text = f"{self.namespace}/{self.name}/{self.value}"
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


class EndedHolder(NamedTuple):
    """An execution that had a key when it ended, and the version of its history then."""

    execution: str
    version: int


class IdempotencyKeys(Protocol):
    """Which execution has an idempotency key: at most one at a time.

    A key only names an execution. It is claimed before the execution is started, so the execution may not
    exist: the process that claimed the key may have ended. A caller starts the execution that has the key;
    that does nothing if it exists.
    """

    async def claim_key(
        self, key: IdempotencyKey, execution: str, instead_of: EndedHolder | None = None
    ) -> str:
        """Returns the execution that has the key.

        This is `execution` if no other one had the key. It is also `execution` if `instead_of` had the key,
        and no `keep_key` was for that version or a later one.
        """

    async def keep_key(self, key: IdempotencyKey, execution: str, version: int) -> bool:
        """Lets an execution that ended at a version continue with its key.

        From now on only an end at a later version lets another execution have the key. Returns False,
        without changes, if another one has it.
        """

    async def release_key(self, key: IdempotencyKey, execution: str) -> bool:
        """Takes the key from an execution: the next claim of another one succeeds.

        Returns False, without changes, if the execution does not have the key.
        """


async def has_its_key(store: IdempotencyKeys, record: ExecutionRecord) -> bool:
    """Returns whether an execution still has its idempotency key; True if it never had one.

    Without the key it cannot be retried: another execution of the key may be under way.
    """
    if record.idempotency_key is None:
        return True
    key = IdempotencyKey.of(record.key.tenant, record.workflow, record.idempotency_key)
    return await store.claim_key(key, record.key.id) == record.key.id
