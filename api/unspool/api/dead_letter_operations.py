"""Requeues and discards dead letters, and records in the history of their execution who did it."""

from collections.abc import Awaitable, Callable
from typing import Final

from unspool.eventstore.actors import Actor
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, Message, MessageKind

REQUEUED: Final = "requeued"
DISCARDED: Final = "discarded"


async def requeue(store: EventStore, tenant: str, id_: str, actor: Actor) -> bool:
    """Puts a dead letter back into its queue; False if it does not exist."""
    return await _operate(store, tenant, id_, actor, REQUEUED, store.requeue)


async def discard(store: EventStore, tenant: str, id_: str, actor: Actor) -> bool:
    """Deletes a dead letter; False if it does not exist."""
    return await _operate(store, tenant, id_, actor, DISCARDED, store.discard)


async def _operate(
    store: EventStore,
    tenant: str,
    id_: str,
    actor: Actor,
    operation: str,
    operate: Callable[[str, str], Awaitable[bool]],
) -> bool:
    letter = await store.dead_letter(tenant, id_)
    if not await operate(tenant, id_):
        return False
    if letter is not None and await _is_recorded(store, letter):
        body = {"letter": id_, "operation": operation, "error": letter.error[:200], **actor.data()}
        await store.send(tenant, Message(MessageKind.OPERATED, letter.body.execution, body))
    return True


async def _is_recorded(store: EventStore, letter: DeadLetter) -> bool:
    """Returns whether the history of the execution can have the event.

    A record that became a dead letter itself is not recorded: a second one would come with each discard.
    """
    execution, body = letter.body.execution, letter.body
    if is_built_in(execution) or (isinstance(body, Message) and body.kind is MessageKind.OPERATED):
        return False
    record = await store.execution(ExecutionKey(letter.tenant, execution))
    return record is not None and not record.status.ended
