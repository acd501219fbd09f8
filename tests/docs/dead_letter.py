"""Moves the first message of the store in `UNSPOOL_STORE` to the dead letters, as after a bug in a worker."""

import asyncio
import os

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import default_url, open_store


async def move() -> None:
    """Moves it. A store without workers must have one."""
    store = await open_store(default_url(os.environ), os.environ)
    consumer = Consumer("workers", "with-a-bug")
    [delivery] = await store.receive_messages(consumer, 1, 30.0)
    await store.move_to_dead_letters(delivery, "KeyError: 'price'", "Traceback: …")
    await store.deregister(consumer)
    await store.close()


if __name__ == "__main__":
    asyncio.run(move())
