"""Starts an execution, or joins the one that has its idempotency key."""

import os

from unspool.cli.exits import CommandError
from unspool.cli.jq import jq_pool
from unspool.cli.output import say
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Start
from unspool.worker.idempotency_keys import IdempotencyKeys, NoKey


async def start_or_join(store: EventStore, start: Start) -> tuple[Start, bool]:
    """Starts an execution with a new id, unless another one has its idempotency key.

    Returns the start with the id of the execution, and whether it was started. If it was not, a line on
    standard error says so.

    Raises:
        CommandError: the definition does not make a valid key from the input.
    """
    start = await with_idempotency_key(store, start)
    created = await store.start(start)
    if not created:
        say(f"unspool: joined execution {start.key.id}: it has the idempotency key of this start")
    return start, created


async def with_idempotency_key(store: EventStore, start: Start) -> Start:
    """Returns the start with the key that the definition makes from its input, and the id that has it.

    Raises:
        CommandError: the definition does not make a valid key from the input.
    """
    with jq_pool(os.environ) as jq:
        try:
            return await IdempotencyKeys(store, jq).resolve(start)
        except NoKey as error:
            raise CommandError(str(error)) from None
