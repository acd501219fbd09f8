"""Moves the first message of a store to the dead letters, as after a bug in a worker."""

import asyncio
import os

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import default_url, open_store


async def make_dead_letter(url: str) -> str:
    """Moves the message, and returns the id of the dead letter. No worker may run on the store."""
    store = await open_store(url, {})
    consumer = Consumer("workers", "with-a-bug")
    [delivery] = await store.receive_messages(consumer, 1, 30.0)
    letter = await store.move_to_dead_letters(delivery, "KeyError: 'price'", "Traceback: …")
    await store.deregister(consumer)
    await store.close()
    return letter


if __name__ == "__main__":
    asyncio.run(make_dead_letter(default_url(os.environ)))
